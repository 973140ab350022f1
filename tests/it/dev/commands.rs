//! Errors of the commands before they ask a cluster.

use std::fs;

use crate::rig::diyadm;

#[test]
fn wrong_arguments_are_reported_without_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| diyadm(folder.path(), args);
    for (args, text) in [
        (&["sync", ".", "deploy/web"][..], "has no path in the container"),
        (&["sync", ".", ":/app"], "No workload or Pods are given"),
        (&["cp", "deploy/web:/app/log", "."], "`diyadm shell deploy/web -- cat /app/log > log`"),
        (&["sync", ".", "deploy/web:/app", "-l", "a=b"], "No workload or Pods are given"),
        (&["forward", "deploy/web", "1:2:3"], "is not a pair of ports"),
        (&["forward", "deploy/web"], "required"),
        (&["run", "deploy/web", "--env", "=SECRET", "--", "true"], "has no NAME"),
        (&["run", "deploy/web", "--name", "a b", "--", "true"], "is not a valid application name"),
        (&["run", "deploy/web"], "required"),
        (&["logs", "deploy/web", "--since", "soon"], "is not a duration"),
        (&["dev"], "diyadm dev --init"),
    ] {
        let run = run(args).code(2).stderr_has(text);
        assert!(!run.stderr.contains("SECRET"), "{}", run.stderr);
    }
}

#[test]
fn forward_takes_no_agent() {
    let folder = tempfile::tempdir().unwrap();
    let help = diyadm(folder.path(), &["forward", "--help"]).code(0).stdout;
    assert!(help.contains("--container") && !help.contains("agent"), "{help}");
}

#[test]
fn project_file_errors_name_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("diyadm.yaml");
    fs::write(&file, "workload: deploy/x\nrun:\n  comand: [x]\n").unwrap();
    diyadm(folder.path(), &["dev"]).code(2).stderr_has("diyadm.yaml: line 3, column 3: ");
    fs::write(&file, "run:\n  command: [x]\n").unwrap();
    diyadm(folder.path(), &["dev"]).code(2).stderr_has("workload: deploy/NAME");
}

#[test]
fn dev_init_guesses_a_project_file_and_never_overwrites_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let pom = "<project><artifactId>shop</artifactId><version>1</version></project>";
    fs::write(root.join("pom.xml"), pom).unwrap();
    diyadm(root, &["dev", "--init", "deploy/shop"]).code(0).stderr_has("diyadm.yaml was written");
    let text = fs::read_to_string(root.join("diyadm.yaml")).unwrap();
    assert!(text.contains("workload: deploy/shop") && text.contains("target/shop-1.jar"), "{text}");
    diyadm(root, &["dev", "--init"]).code(2).stderr_has("was not changed");
    assert_eq!(fs::read_to_string(root.join("diyadm.yaml")).unwrap(), text);
    assert_eq!(diyadm(root, &["dev", "--init", "-f", "-", "deploy/shop"]).code(0).stdout, text);
}
