//! The scenarios of examples/scenarios, with their invoices as text beside them.

use std::{fs, path::Path};

use simulation::{Scenario, Style, simulate, text};

/// Where a text is not what its story results in, `ratchet simulate NAME.json --format text > NAME.txt` writes it anew.
#[test]
fn examples_result_in_the_texts_beside_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scenarios");
    let paths = fs::read_dir(folder).expect("the examples").map(|entry| entry.expect("an entry").path());
    let stories: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    assert!(stories.len() >= 4, "{stories:?}");
    for story in stories {
        let scenario = Scenario::parse(&fs::read(&story).expect("a story")).expect("a good story");
        let shown = text(&simulate(&scenario).expect("a story that can be told"), Style::Plain);
        let expected = fs::read_to_string(story.with_extension("txt")).expect("a text");
        assert_eq!(format!("{}\n", shown.trim_end()), expected, "{}", story.display());
    }
}
