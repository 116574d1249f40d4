//! What came of each step.
//!
//! Guarantee: every step is told of once, in order, at the moment when it is done.

use serde::Serialize;
use std::fmt;

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum Verdict {
    /// As the paper has it.
    Ok,
    /// Not as the paper has it.
    Failed {
        /// What the paper has.
        expected: String,
        /// What came.
        came: String,
    },
    /// Could not be tried.
    Skipped {
        /// Why.
        why: String,
    },
}

/// One step of a walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// In which walk.
    pub walk: &'static str,
    /// The section of docs/protocol.md that it is about.
    pub section: &'static str,
    /// What was tried.
    pub what: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { walk, section, what, verdict } = self;
        match verdict {
            Verdict::Ok => write!(f, "ok      {section:<4} {walk}: {what}"),
            Verdict::Skipped { why } => write!(f, "skipped {section:<4} {walk}: {what}: {why}"),
            Verdict::Failed { expected, came } => {
                write!(f, "FAILED  section {section}, {walk}: {what}: expected {expected}, came {came}")
            }
        }
    }
}

/// A step that failed, and nothing more can be tried in this walk.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) section: &'static str,
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) came: String,
}

impl Fault {
    pub(crate) fn new(
        section: &'static str,
        what: &'static str,
        expected: impl Into<String>,
        came: impl fmt::Display,
    ) -> Fault {
        Fault { section, what, expected: expected.into(), came: came.to_string() }
    }
}

/// The steps so far.
pub struct Log {
    steps: Vec<Step>,
    walk: &'static str,
    show: Box<dyn FnMut(&Step) + Send>,
}

impl Log {
    /// Shows each step as it is done.
    #[must_use]
    pub fn new(show: impl FnMut(&Step) + Send + 'static) -> Log {
        Log { steps: Vec::new(), walk: "", show: Box::new(show) }
    }

    /// All steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Those that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| matches!(step.verdict, Verdict::Failed { .. }))
    }

    pub(crate) fn begin(&mut self, walk: &'static str) {
        self.walk = walk;
    }

    fn add(&mut self, section: &'static str, what: &'static str, verdict: Verdict) {
        let step = Step { walk: self.walk, section, what, verdict };
        (self.show)(&step);
        self.steps.push(step);
    }

    pub(crate) fn ok(&mut self, section: &'static str, what: &'static str) {
        self.add(section, what, Verdict::Ok);
    }

    pub(crate) fn skip(&mut self, section: &'static str, what: &'static str, why: impl Into<String>) {
        self.add(section, what, Verdict::Skipped { why: why.into() });
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        let Fault { section, what, expected, came } = fault;
        self.add(section, what, Verdict::Failed { expected, came });
    }

    /// A step that the walk goes on after, whatever came of it.
    pub(crate) fn check(
        &mut self,
        section: &'static str,
        what: &'static str,
        holds: bool,
        expected: &str,
        came: impl fmt::Display,
    ) {
        if holds {
            self.ok(section, what);
        } else {
            self.fault(Fault::new(section, what, expected, came));
        }
    }

    /// Ends a walk.
    pub(crate) fn end(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            self.fault(fault);
        }
    }
}
