//! The flags of `empty --copy`.

use clap::Args;

/// Flags that make a copy instead of emptying the workload.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
#[command(next_help_heading = "Copy")]
pub struct CopyFlags {
    /// Create an empty copy WORKLOAD-NAME of the workload, which stays as it is: a Deployment
    /// with one replica that no Service calls. `diyadm restore deploy/WORKLOAD-NAME` deletes it
    #[arg(
        long,
        value_name = "NAME",
        value_parser = copy_name,
        conflicts_with_all = [
            "selector", "field_selector", "all", "all_namespaces", "hold_autoscalers", "recreate",
            "replicas", "suspend_cronjobs",
        ]
    )]
    pub copy: Option<String>,
    /// With --copy: give it an emptyDir for each volume of a PersistentVolumeClaim
    #[arg(long, requires = "copy")]
    pub fresh_volumes: bool,
}

/// A part of a label's value and of a Pod's name.
fn copy_name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.bytes().next().zip(text.bytes().last());
    if ends.is_some_and(|(first, last)| is_plain(first) && is_plain(last))
        && text.bytes().all(|byte| is_plain(byte) || byte == b'-')
    {
        Ok(text.to_owned())
    } else {
        Err("use lower-case letters, digits and `-`, which is neither first nor last".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_names_fit_into_names_of_pods() {
        for name in ["me", "a", "0", "a-1"] {
            assert_eq!(copy_name(name).as_deref(), Ok(name));
        }
        for name in ["", "-", "a-", "-a", "A", "a_b", "a.b", "ä", "a b"] {
            assert!(copy_name(name).is_err(), "{name}");
        }
    }
}
