//! What a stand-in runs.

use clap::Args;
use serde_json::Value;

use crate::workload::stand_in_command;

/// What a stand-in runs.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "How workloads are emptied")]
pub struct StandInFlags {
    /// The whole command line of the stand-in, for a container whose spec has no command: words
    /// separated by spaces, or a JSON list [default: that of a running Pod]
    #[arg(long, value_name = "COMMAND", value_parser = command_line)]
    pub command: Option<String>,
}

/// A JSON list of the words of a command line.
fn command_line(text: &str) -> Result<String, String> {
    let list = if text.trim_start().starts_with('[') {
        text.to_owned()
    } else if text.contains(['\'', '"', '\\']) {
        return Err("quotes need a JSON list: '[\"sh\", \"-c\", \"echo a b\"]'".to_owned());
    } else {
        text.split_whitespace().collect::<Value>().to_string()
    };
    let words = stand_in_command(&list);
    let words = words.ok_or_else(|| format!("{text:?} is not a command line"))?;
    Ok(Value::from(words).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_words_or_a_json_list() {
        for (text, list) in [
            ("java -jar  /a.jar", r#"["java","-jar","/a.jar"]"#),
            (r#"["sh", "-c", "a b"]"#, r#"["sh","-c","a b"]"#),
        ] {
            assert_eq!(command_line(text).unwrap(), list);
        }
        for text in ["", " ", "[]", "[\"\"]", "[1]", "[\"a\\u0000\"]", "sh -c 'a b'"] {
            command_line(text).unwrap_err();
        }
    }
}
