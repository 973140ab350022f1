//! The reviews that cost a webhook most: of up to 7 MiB, each with lists as long as they can be.
//! `cargo xtask bench large` uses them too.

use std::fmt::Write;

use serde_json::Value;

/// Bytes that the server takes.
pub(crate) const LONGEST: usize = 7 << 20;
/// So many containers are still looked into.
const MANY: usize = 4096;
/// Elements of other lists that are looked into.
const ELEMENTS: usize = 1 << 15;
/// What `kubectl apply` keeps.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn list(count: usize, element: impl Fn(usize) -> String) -> String {
    (0..count).map(element).collect::<Vec<_>>().join(",")
}

/// `element` over and over, longer than anything that is looked into.
fn long(element: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for at in 0.. {
        if text.len() > 512 << 10 {
            break;
        }
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{}", element(at));
    }
    text
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A Deployment: members of its metadata, annotations, members of its pod's spec, JSON each.
fn deployment(metadata: &str, annotations: &str, pod: &str) -> String {
    format!(
        "{{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{{\"name\":\"x\",\
         \"annotations\":{{{annotations}}}{metadata}}},\
         \"spec\":{{\"template\":{{\"spec\":{{{pod}}}}}}}}}"
    )
}

fn containers(count: usize) -> String {
    // As much as fits twice into a review.
    let long = "r".repeat(LONGEST / 4 / count);
    let container = |n| format!("{{\"name\":\"c{n}\",\"image\":\"a\",\"command\":[\"{long}\"]}}");
    format!("\"containers\":[{}]", list(count, container))
}

fn one(more: &str) -> String {
    format!("\"containers\":[{{\"name\":\"c\",\"image\":\"a\"{more}}}]")
}

/// The annotation's value for a body, with a right checksum.
fn sealed(body: &str) -> String {
    let sum = &openssl::sha::sha256(body.as_bytes())[..8];
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"v\":1,\"sum\":\"{sum}\",\"body\":{body}}}")
}

/// An original of as many containers as fit, none of which is where it says.
fn original(name: impl Fn(usize) -> String) -> String {
    let saved = |n| {
        let image = "{\"was\":\"b\",\"set\":\"empty-container:latest\"}";
        format!("{{\"index\":{},\"name\":\"{}\",\"fields\":{{\"image\":{image}}}}}", n + 1, name(n))
    };
    let body = format!("{{\"annotations\":\"present\",\"containers\":[{}]}}", list(2400, saved));
    format!("\"diyadm.io/original\":{}", quoted(&sealed(&body)))
}

/// managedFields of as many appliers as fit, each of a container.
fn managers(field: &str) -> String {
    let entry = |n| {
        let containers = format!(
            "{{\"f:containers\":{{\"k:{{\\\"name\\\":\\\"c{n}\\\"}}\":{{\"{field}\":{{}}}}}}}}"
        );
        format!(
            "{{\"manager\":\"m{n}\",\"operation\":\"Apply\",\"fieldsV1\":{{\"f:spec\":{{\"f:template\":{{\"f:spec\":{containers}}}}}}}}}"
        )
    };
    format!(",\"managedFields\":[{}]", list(8_000, entry))
}

/// kubectl's record of containers, which says more of each than another one.
fn record(count: usize, more: &str) -> String {
    let container = |n| format!("{{\"name\":\"c{n}\"{more}}}");
    let pod = format!("\"containers\":[{}]", list(count, container));
    format!("\"{LAST_APPLIED}\":{}", quoted(&deployment("", "", &pod)))
}

fn review(old: Option<&str>, object: &str) -> Vec<u8> {
    let (operation, old) = match old {
        Some(old) => ("UPDATE", format!(",\"oldObject\":{old}")),
        None => ("CREATE", String::new()),
    };
    format!(
        "{{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{{\
         \"uid\":\"u\",\"kind\":{{\"kind\":\"Deployment\"}},\"namespace\":\"n\",\"name\":\"x\",\
         \"operation\":\"{operation}\",\"object\":{object}{old}}}}}"
    )
    .into_bytes()
}

/// Reviews by name.
pub(crate) fn crafted() -> Vec<(&'static str, Vec<u8>)> {
    let names = |count| {
        let names = list(count, |n| format!("c{}", n % MANY));
        format!("\"diyadm.io/containers\":\"{names}\"")
    };
    let idle = "\"diyadm.io/idle\":\"agent\"";
    let all = "\"diyadm.io/containers\":\"*\"";
    let create = |metadata: &str, annotations: &str, pod: &str| {
        review(None, &deployment(metadata, annotations, pod))
    };
    let update = |old: &str, new: &str| review(Some(old), new);
    let emptied = |saved: &str, record: &str, managed: &str| {
        let annotations = format!("{saved},{record}");
        deployment(managed, &annotations, &containers(MANY))
    };
    let saved = original(|n| format!("c{n}"));
    vec![
        ("names of containers", create("", &names(60_000), &containers(MANY))),
        (
            "unknown names of containers",
            create("", &names(150_000).replace("c7,", "d7,"), &containers(MANY)),
        ),
        ("all containers", create("", all, &containers(MANY))),
        ("too many containers", create("", all, &containers(80_000))),
        (
            "containers with nothing in them",
            create("", all, &format!("\"containers\":[{}]", "{},".repeat(200_000) + "{}")),
        ),
        ("containers moved", create("", &saved, &containers(MANY))),
        (
            "containers of one name",
            create(
                "",
                &original(|_| "c".to_owned()),
                &format!(
                    "\"containers\":[{}]",
                    list(MANY, |_| "{\"name\":\"c\",\"image\":\"a\"}".to_owned())
                ),
            ),
        ),
        (
            "an original that is too long",
            create(
                "",
                &format!(
                    "\"diyadm.io/original\":{}",
                    quoted(&sealed(&format!("{{\"containers\":[{}]}}", "1,".repeat(600_000))))
                ),
                &one(""),
            ),
        ),
        (
            "notes",
            create(
                "",
                &format!(
                    "\"diyadm.io/original\":{}",
                    quoted(&sealed(&format!(
                        "{{\"annotations\":\"present\",\"containers\":[],\"notes\":[{}]}}",
                        list(8_000, |_| "{\"key\":\"diyadm.io/idle\"}".to_owned())
                    )))
                ),
                &one(""),
            ),
        ),
        ("annotations", create("", &long(|n| format!("\"{n}\":\"\"")), &one(""))),
        ("annotations that fit", create("", &list(30_000, |n| format!("\"{n}\":\"\"")), &one(""))),
        (
            "one long annotation",
            create("", &format!("\"a\":\"{}\"", "\\\"".repeat(LONGEST / 4)), &one("")),
        ),
        (
            "labels",
            create(
                &format!(",\"labels\":{{{}}}", long(|n| format!("\"{n}\":\"\""))),
                all,
                &one(""),
            ),
        ),
        (
            "owners",
            create(&format!(",\"ownerReferences\":[{}]", long(|_| "{}".to_owned())), "", &one("")),
        ),
        (
            "a long owner",
            create(
                &format!(
                    ",\"ownerReferences\":[{{\"kind\":\"{0}\",\"name\":\"{0}\"}}]",
                    "a".repeat(LONGEST / 4)
                ),
                "",
                &one(""),
            ),
        ),
        (
            "members of the pod",
            create("", "", &format!("{},{}", one(""), long(|n| format!("\"{n}\":0")))),
        ),
        (
            "members of a container",
            create("", "", &one(&format!(",{}", long(|n| format!("\"{n}\":0"))))),
        ),
        (
            "env",
            create(
                "",
                "",
                &one(&format!(
                    ",\"env\":[{}]",
                    long(|n| format!("{{\"name\":\"E{n}\",\"value\":\"\"}}"))
                )),
            ),
        ),
        (
            "a long command",
            create("", "", &one(&format!(",\"command\":[{}]", long(|_| "1".to_owned())))),
        ),
        (
            "mounts",
            create("", idle, &one(&format!(",\"volumeMounts\":[{}]", long(|_| "{}".to_owned())))),
        ),
        (
            "mounts of each container",
            create(
                "",
                &format!("{idle},{all}"),
                &format!(
                    "\"containers\":[{}]",
                    list(MANY, |n| format!(
                        "{{\"name\":\"c{n}\",\"volumeMounts\":[{}]}}",
                        list(100, |n| format!("{{\"name\":\"v{n}\"}}"))
                    ))
                ),
            ),
        ),
        (
            "volumes",
            create(
                "",
                idle,
                &format!(
                    "{},\"volumes\":[{}]",
                    one(""),
                    list(ELEMENTS, |n| format!("{{\"name\":\"v{n}\"}}"))
                ),
            ),
        ),
        (
            "resources",
            create(
                "",
                idle,
                &one(&format!(",\"resources\":{{{}}}", long(|n| format!("\"{n}\":1")))),
            ),
        ),
        (
            "escapes",
            create(
                "",
                &format!("\"a\":\"{}\"", "\\u0041".repeat(LONGEST / 16)),
                &one(&format!(",\"{}\":1", "\\u0041".repeat(LONGEST / 16))),
            ),
        ),
        (
            "numbers",
            create(
                "",
                "",
                &one(&format!(",\"x\":[{}]", long(|_| format!("0.{}e1", "9".repeat(400))))),
            ),
        ),
        ("one long number", create("", "", &one(&format!(",\"x\":0.{}", "9".repeat(LONGEST / 2))))),
        (
            "brackets",
            create("", "", &one(&format!(",\"x\":[{}]", long(|_| "[[[[[]]]]]".to_owned())))),
        ),
        (
            "records",
            update(
                &emptied(&saved, &record(10_000, ",\"image\":\"a\""), ""),
                &emptied(&saved, &record(10_000, ",\"image\":\"b\""), ""),
            ),
        ),
        (
            "appliers",
            update(
                &emptied(&saved, "\"k\":\"v\"", &managers("f:image")),
                &emptied(&saved, "\"k\":\"v\"", &managers("f:args")),
            ),
        ),
        (
            "a revision of the empty form",
            update(
                &deployment("", "\"diyadm.io/original\":\"\"", &containers(MANY)),
                &deployment(
                    "",
                    all,
                    &format!(
                        "\"containers\":[{}]",
                        list(MANY, |n| format!(
                            "{{\"name\":\"c{n}\",\"image\":\"empty-container:latest\",\"imagePullPolicy\":\"IfNotPresent\"}}"
                        ))
                    ),
                ),
            ),
        ),
    ]
}
