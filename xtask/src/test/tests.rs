//! What is counted, and what the flags say.

use super::*;

#[test]
fn test_skipped_twice_is_counted_once() {
    assert_eq!(Skips::read(""), Skips::default());
    let lines = "a::b: no node: why\na::b: no net\na::c: no net\n";
    assert_eq!(Skips::read(lines), Skips { all: 2, by_version: 0, apart: 0 });
    let lines = "a: Kubernetes v1.26.15 lacks x: v1.36 has it\nb: not meant: needs a node\n\
                 c: Kubernetes v1.26.15 lacks x: v1.36 has it\nc: no net\n";
    assert_eq!(Skips::read(lines), Skips { all: 2, by_version: 1, apart: 1 });
}

#[test]
fn version_is_selected_by_a_flag() {
    let args = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let words = args(&["--kubernetes", "v1.34.2", "--", "rights"]);
    let options = Options::parse(&words).unwrap();
    assert_eq!(options.kubernetes, Some("v1.34.2".parse().unwrap()));
    assert!(options.integration && options.filters == ["rights"]);
    for wrong in [&["--kubernetes"][..], &["--kubernetes", "1.34"], &["--kubernets"]] {
        assert!(Options::parse(&args(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn summary_line_of_a_test_run_is_parsed() {
    let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
    assert_eq!(closing(line), Some(Count { passed: 3, failed: 2, ignored: 1 }));
    assert_eq!(closing("test result of mine"), None);
}
