//! JSON with its fields in the order in which they are meant to be read.

use data_encoding::HEXLOWER;
use serde_json::Value;

#[derive(Clone)]
pub(super) enum Json {
    Plain(Value),
    List(Vec<Json>),
    Fields(Vec<(&'static str, Json)>),
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> Json {
    Json::Plain(HEXLOWER.encode(bytes.as_ref()).into())
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Plain(text.into())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Json {
        Json::Plain(number.into())
    }
}

impl Json {
    pub(super) fn list(items: impl IntoIterator<Item = Json>) -> Json {
        Json::List(items.into_iter().collect())
    }

    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out.push('\n');
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        let mut items = |brackets: [char; 2], items: Vec<(String, &Json)>| {
            out.push(brackets[0]);
            for (at, (name, item)) in items.iter().enumerate() {
                out.push_str(if at == 0 { "\n" } else { ",\n" });
                out.push_str(&"  ".repeat(depth + 1));
                out.push_str(name);
                item.write(depth + 1, out);
            }
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
            out.push(brackets[1]);
        };
        match self {
            Json::Plain(value) => out.push_str(&value.to_string()),
            Json::List(list) => items(['[', ']'], list.iter().map(|item| (String::new(), item)).collect()),
            Json::Fields(fields) => {
                let named = |(name, _): &(&'static str, Json)| format!("\"{name}\": ");
                items(['{', '}'], fields.iter().map(|field| (named(field), &field.1)).collect());
            }
        }
    }
}
