//! Our rules against the tests beside them.

use crate::lab::root;
use cordon::detect::{Detector, OURS, check};

#[test]
fn each_of_our_rules_does_as_the_test_beside_it_says() {
    let folder = root().join("src/detect/rules");
    let on_disk: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yml") && !name.ends_with(".test.yml"))
        .collect();
    assert!(on_disk.iter().all(|name| OURS.iter().any(|(ours, _)| ours == name)), "a file is not in OURS: {on_disk:?}");
    let tests: Vec<(String, String)> = OURS
        .iter()
        .map(|(name, _)| name.replace(".yml", ".test.yml"))
        .map(|name| (name.clone(), std::fs::read_to_string(folder.join(name)).unwrap_or_default()))
        .collect();
    let checked = check(&Detector::ours(), tests.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    assert!(checked.wrong.is_empty(), "{:#?}", checked.wrong);
}
