//! What is judged of many things of one kind, and told of once.

use crate::log::{Fault, Log};

/// One step over many frames or datagrams: the first that is wrong counts.
pub(crate) struct Many {
    section: &'static str,
    what: &'static str,
    pub(crate) seen: u64,
    wrong: Option<(String, String)>,
}

impl Many {
    pub(crate) const fn new(section: &'static str, what: &'static str) -> Many {
        Many { section, what, seen: 0, wrong: None }
    }

    /// One more; says whether it holds.
    pub(crate) fn judge(&mut self, holds: bool, expected: &str, came: impl FnOnce() -> String) -> bool {
        self.seen += 1;
        if !holds && self.wrong.is_none() {
            self.wrong = Some((expected.to_owned(), came()));
        }
        holds
    }

    /// Tells what came of it, and begins again.
    pub(crate) fn tell(&mut self, log: &mut Log) {
        match (self.wrong.take(), self.seen) {
            (Some((expected, came)), _) => log.fault(Fault::new(self.section, self.what, expected, came)),
            (None, 0) => log.skip(self.section, self.what, "none came"),
            (None, _) => log.ok(self.section, self.what),
        }
        self.seen = 0;
    }
}
