fn main() { println!("{}", api::openapi_json().unwrap()); }
