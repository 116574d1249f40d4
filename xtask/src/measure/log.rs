//! A caller's `log.jsonl`: a JSON object a line, with `ev`, and `t` in epoch seconds. Events that this program
//! does not know are left out; a line that is no such object is an error.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// A picture that the camera or file gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Captured {
    pub(crate) n: u64,
    pub(crate) t: f64,
}

/// A picture that was shown: the `i`-th of the recording, `w` by `h` as it was decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) i: u64,
    pub(crate) t: f64,
    pub(crate) w: u64,
    pub(crate) h: u64,
}

/// What a caller says about the channel it used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Safety {
    pub(crate) noise: String,
    pub(crate) tls_group: String,
    pub(crate) tls_cipher: String,
    pub(crate) media: String,
    pub(crate) post_quantum: bool,
}

/// A whole log.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallLog {
    /// When each kind of event first occurred.
    first: HashMap<String, f64>,
    pub(crate) captured: Vec<Captured>,
    pub(crate) shown: Vec<Shown>,
    pub(crate) safety: Option<Safety>,
}

impl CallLog {
    /// Reads a log from a file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| {
            format!("expected a caller's log at {}, but it can't be read: {e}", path.display())
        })?;
        Self::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut log = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            log.add(line).map_err(|e| format!("line {}: {e}; got {line}", number + 1))?;
        }
        log.shown.sort_by(|a, b| a.t.total_cmp(&b.t));
        Ok(log)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let event: Value = serde_json::from_str(line).map_err(|e| format!("expected a JSON object ({e})"))?;
        let name = event["ev"].as_str().ok_or("expected the event's name as \"ev\"")?;
        let t = event["t"].as_f64().ok_or("expected epoch seconds as \"t\"")?;
        let number = |key: &str| event[key].as_u64().ok_or(format!("expected a whole number as {key:?}"));
        let word = |key: &str| event[key].as_str().unwrap_or("not reported").to_string();
        self.first.entry(name.into()).or_insert(t);
        match name {
            "frame-in" => self.captured.push(Captured { n: number("n")?, t }),
            "frame-out" => self.shown.push(Shown { i: number("i")?, t, w: number("w")?, h: number("h")? }),
            "safety" => {
                self.safety = Some(Safety {
                    noise: word("noise"),
                    tls_group: word("tls_group"),
                    tls_cipher: word("tls_cipher"),
                    media: word("media"),
                    post_quantum: event["post_quantum"].as_bool().unwrap_or(false),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// When this kind of event first occurred.
    pub(crate) fn first(&self, event: &str) -> Option<f64> {
        self.first.get(event).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_and_unknown_events_are_left_out() {
        let log = CallLog::parse(
            r#"{"ev":"dial","t":10.5}
               {"ev":"from-the-future","t":11,"x":[1]}
               {"ev":"frame-in","n":0,"t":11.0}
               {"ev":"frame-out","i":1,"t":11.2,"w":640,"h":360}
               {"ev":"frame-out","i":0,"t":11.1,"w":320,"h":180}
               {"ev":"safety","t":11,"noise":"Noise_X","tls_group":"G","media":"M","post_quantum":true}"#,
        )
        .expect("a valid log");
        assert_eq!(log.first("dial"), Some(10.5));
        assert_eq!(log.first("ended"), None);
        assert_eq!(log.captured, [Captured { n: 0, t: 11.0 }]);
        assert_eq!(log.shown[0], Shown { i: 0, t: 11.1, w: 320, h: 180 });
        let safety = log.safety.expect("there is one");
        assert_eq!((safety.noise.as_str(), safety.tls_cipher.as_str()), ("Noise_X", "not reported"));
        assert!(safety.post_quantum);
    }

    #[test]
    fn a_broken_line_is_named() {
        let error =
            CallLog::parse("{\"ev\":\"dial\",\"t\":1}\n{\"ev\":\"frame-in\",\"t\":2}").expect_err("no n");
        assert!(error.starts_with("line 2: ") && error.contains("\"n\""), "{error}");
        let error = CallLog::parse("{\"ev\":").expect_err("cut off");
        assert!(error.contains("JSON"), "{error}");
    }
}
