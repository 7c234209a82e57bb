//! A test's services are its own, and none of them is left when the test is over.

use std::net::TcpStream;

use flows::Services;

#[test]
fn two_tests_share_nothing_and_leave_nothing() {
    let first = Services::start().unwrap();
    let second = Services::start().unwrap();
    let addresses = |services: &Services| -> Vec<String> {
        let hosts = services.environment().into_iter().map(|(_, url)| url.rsplit('/').next().unwrap().to_owned());
        hosts.collect()
    };
    let (of_first, of_second) = (addresses(&first), addresses(&second));
    assert_eq!(of_first.len(), 4);
    assert!(of_first.iter().all(|address| !of_second.contains(address)), "{of_first:?} {of_second:?}");

    drop(first);
    for address in &of_first {
        assert!(TcpStream::connect(address).is_err(), "{address} still listens");
    }
    for address in &of_second {
        TcpStream::connect(address).unwrap();
    }
}
