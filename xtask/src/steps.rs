//! A task's steps: each is announced, its output goes straight to the terminal, and it ends with its time.
//! A failed step does not hide the later ones; the summary names all that failed.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::Failure;

struct Step {
    name: String,
    took: Duration,
    trouble: Option<String>,
}

/// The steps of one task, in the order they ran.
pub(crate) struct Steps {
    task: &'static str,
    began: Instant,
    done: Vec<Step>,
}

impl Steps {
    pub(crate) fn new(task: &'static str) -> Self {
        Self { task, began: Instant::now(), done: Vec::new() }
    }

    /// Runs a program; it fails unless it ends with status 0.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) {
        self.check(name, || match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(format!("{} did not start: {error}", command.get_program().display())),
        });
    }

    /// Runs a function; its error is the reason shown.
    pub(crate) fn check(&mut self, name: &str, step: impl FnOnce() -> Result<(), String>) {
        println!("==> {} (at {})", name, clock(self.began.elapsed()));
        let began = Instant::now();
        let trouble = step().err();
        let took = began.elapsed();
        match &trouble {
            None => println!("    {name}: {}", clock(took)),
            Some(why) => println!("    {name}: FAILED after {}: {why}", clock(took)),
        }
        self.done.push(Step { name: name.into(), took, trouble });
    }

    /// Prints the summary line, if there is more than one step to sum up; an error if any step failed.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.done.len() > 1 {
            println!("==> {}: {}; {} in all", self.task, self.list(), clock(self.began.elapsed()));
        }
        let failed: Vec<_> =
            self.done.iter().filter(|s| s.trouble.is_some()).map(|s| s.name.as_str()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Failure::failed(format!("failed: {}; what each said is above", failed.join(", "))))
    }

    fn list(&self) -> String {
        let one = |s: &Step| {
            format!("{} {} {}", s.name, if s.trouble.is_none() { "ok" } else { "FAILED" }, clock(s.took))
        };
        self.done.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// A duration as people read it: `4.2 s`, `3 min 07 s`.
pub(crate) fn clock(d: Duration) -> String {
    let s = d.as_secs();
    if s < 60 { format!("{:.1} s", d.as_secs_f64()) } else { format!("{} min {:02} s", s / 60, s % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_hide_the_next_and_is_named_at_the_end() {
        let mut steps = Steps::new("task");
        let mut second = false;
        steps.check("first", || Err("broken".into()));
        steps.check("second", || {
            second = true;
            Ok(())
        });
        let failure = steps.finish().expect_err("the first step failed");
        assert!(second);
        assert!(failure.to_string().contains("first") && !failure.to_string().contains("second"));
        assert_eq!(failure.code(), 1);
    }

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(clock(Duration::from_millis(4210)), "4.2 s");
        assert_eq!(clock(Duration::from_secs(187)), "3 min 07 s");
    }
}
