//! AdmissionReviews of Deployments of a size, as an API server posts them.

use std::fmt::Write as _;

/// A review whose Deployment has about `size` bytes: environment, volumes and managedFields, which
/// are what makes real ones large.
pub(super) fn of(size: usize) -> Vec<u8> {
    let mut env = String::new();
    let mut fields = String::new();
    for n in 0.. {
        // 400 bytes are the rest of it.
        if env.len() + fields.len() + 1200 >= size {
            break;
        }
        let comma = if n > 0 { "," } else { "" };
        let _ = write!(
            env,
            "{comma}{{\"name\":\"SETTING_{n}\",\"value\":\"http://service-{n}.test.svc:8080/\\u003cpath\\u003e\\\\{n}\"}}"
        );
        let _ = write!(
            fields,
            "{comma}\"k:{{\\\"name\\\":\\\"SETTING_{n}\\\"}}\":{{\".\":{{}},\"f:name\":{{}},\"f:value\":{{}}}}"
        );
    }
    format!(
        "{{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{{\
         \"uid\":\"705ab4f5-6393-11e8-b7cc-42010a800002\",\
         \"kind\":{{\"group\":\"apps\",\"version\":\"v1\",\"kind\":\"Deployment\"}},\
         \"resource\":{{\"group\":\"apps\",\"version\":\"v1\",\"resource\":\"deployments\"}},\
         \"name\":\"app\",\"namespace\":\"shop\",\"operation\":\"CREATE\",\
         \"userInfo\":{{\"username\":\"jane\",\"groups\":[\"system:authenticated\"]}},\
         \"object\":{{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{{\
         \"name\":\"app\",\"namespace\":\"shop\",\"labels\":{{\"app\":\"app\"}},\
         \"annotations\":{{\"team\":\"shop\"}},\"managedFields\":[{{\"manager\":\"kubectl\",\
         \"operation\":\"Update\",\"fieldsV1\":{{{fields}}}}}]}},\"spec\":{{\"replicas\":2,\
         \"selector\":{{\"matchLabels\":{{\"app\":\"app\"}}}},\"template\":{{\"metadata\":{{\
         \"labels\":{{\"app\":\"app\"}}}},\"spec\":{{\"containers\":[{{\"name\":\"app\",\
         \"image\":\"registry.test/app:1.2.3\",\"command\":[\"java\",\"-jar\",\"/app.jar\"],\
         \"env\":[{env}],\"livenessProbe\":{{\"httpGet\":{{\"path\":\"/health\",\"port\":8080}},\
         \"periodSeconds\":10}},\"readinessProbe\":{{\"httpGet\":{{\"path\":\"/ready\",\
         \"port\":8080}}}},\"imagePullPolicy\":\"Always\"}}],\"restartPolicy\":\"Always\",\
         \"terminationGracePeriodSeconds\":30}}}}}}}},\"oldObject\":null,\"dryRun\":false,\
         \"options\":{{\"kind\":\"CreateOptions\",\"apiVersion\":\"meta.k8s.io/v1\"}}}}}}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_review_has_its_size() {
        for size in [4 << 10, 14 << 10, 300 << 10] {
            let review = of(size);
            assert!(review.len().abs_diff(size) < 1000, "{} instead of {size}", review.len());
            let text = String::from_utf8(review).unwrap();
            assert_eq!(text.matches('{').count(), text.matches('}').count());
        }
    }
}
