//! Whole calls of the facade in virtual time: `kring::Endpoint`s with real QUIC, TLS and Noise over a simulated network.
//!
//! ```text
//! seed → scenario → two endpoints on simulated sockets, one tokio runtime with a paused clock → judge
//! ```
//!
//! Guarantee: network, people, identities and Kring's own keys are drawn from the seed, and a call that never ends is
//! found. TLS draws its keys from the system, so two runs of a seed may differ in the lengths of a few packets.

mod devices;
mod ends;
pub mod net;
mod person;

use crate::check::{Check, Totals};
use crate::rng::Rng;
use crate::scenario::{Action, Scenario, of};
use crate::trace::Trace;
use crate::world;
use ends::{Facts, Outcome};
use kring::simulation::Simulation;
use kring::{Call, Endpoint, Identity};
use kring_core::crypto::Provider;
use kring_core::crypto::pure::Pure;
use kring_core::handshake::Role;
use kring_core::time::{Time, WallTime};
use net::Net;
use person::Person;
use std::cell::Cell;
use std::panic;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

/// A call that lasts longer will not end.
const LONGEST: Duration = Duration::from_secs(180);
const HOUR: Duration = Duration::from_secs(3600);
const ROLES: [Role; 2] = [Role::Caller, Role::Callee];

/// What the world of one call shares.
struct Ground {
    scenario: Scenario,
    twist: Twist,
    net: Arc<Net>,
    judge: Mutex<Judge>,
    /// Whether the caller is done.
    done: watch::Sender<bool>,
    /// Calls of programs that are gone.
    graves: Mutex<Vec<Call>>,
}

struct Judge {
    check: Check,
    trace: Trace,
    connected: [Option<Time>; 2],
    ends: [Option<Outcome>; 2],
}

impl Judge {
    /// Whether that side's program has crashed.
    fn is_gone(&self, who: Role) -> bool {
        self.ends[of(who)] == Some(Outcome::Crashed)
    }
}

impl Ground {
    fn judge<T>(&self, f: impl FnOnce(&mut Judge) -> T) -> T {
        f(&mut self.judge.lock().expect("nothing panics with this lock held"))
    }

    fn records(&self, who: Role) -> bool {
        self.scenario.does(who, Action::Record(true))
    }

    fn ended(&self, who: Role, outcome: Outcome) {
        let now = self.net.now();
        self.judge(|judge| {
            judge.trace.event(now, who, &format_args!("is done: {outcome}"));
            let after = judge.ends[of(who.other())].is_some();
            judge.check.ended(now, who, outcome.summary(who, after));
            judge.ends[of(who)] = Some(outcome);
        });
        if who == Role::Caller {
            self.done.send_replace(true);
        }
    }
}

/// What of a seed only this mode needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Twist {
    /// The callee dials as well, that long after the caller.
    pub crossing: Option<Duration>,
    /// The caller's address changes with its path.
    pub moves: bool,
    /// How many packets are lost from the answer on.
    pub lost_with_answer: u32,
}

impl Twist {
    /// The twist of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Twist {
        let mut rng = Rng::new(seed, "facade");
        let crossing = rng.chance(150_000).then(|| Duration::from_millis(rng.within(0..=250)));
        // Who moves is no server any more: only a caller can.
        let moves = crossing.is_none() && rng.chance(700_000);
        let lost_with_answer = if rng.chance(200_000) { rng.within(1..=3) as u32 } else { 0 };
        Twist { crossing, moves, lost_with_answer }
    }
}

/// Runs the call of a scenario and its seed. With `readable`, what happened is told line by line.
///
/// # Panics
/// If there is no memory for a runtime.
#[must_use]
pub fn run(scenario: &Scenario, readable: bool) -> world::Outcome {
    run_with(scenario, Twist::new(scenario.seed), readable)
}

/// Runs a call with a twist of its own.
///
/// # Panics
/// If there is no memory for a runtime.
#[must_use]
pub fn run_with(scenario: &Scenario, twist: Twist, readable: bool) -> world::Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can be had");
    let mut scenario = scenario.clone();
    // QUIC's own sending stands in the place of the model's.
    scenario.people.iter_mut().for_each(|person| person.pace = None);
    notice_panics();
    PANICKED.set(false);
    let mut outcome = runtime.block_on(world(scenario, twist, readable));
    runtime.shutdown_timeout(Duration::from_secs(5));
    if PANICKED.get() {
        outcome.failures.push("a task panicked; its message is on the error output".into());
    }
    outcome
}

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// tokio keeps a task's panic to itself, but every task of a call runs on its one thread.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
}

fn endpoint(ground: &Ground, who: Role) -> Endpoint {
    let seed = ground.scenario.seed;
    let name = if who == Role::Caller { "caller" } else { "callee" };
    let mut rng = Rng::new(seed, &format!("keys {name}"));
    let provider: Arc<dyn Provider> = Arc::new(Pure::with_random(Box::new(move |out| {
        rng.fill(out);
        Ok(())
    })));
    let mut quic = [0; 32];
    Rng::new(seed, &format!("quic {name}")).fill(&mut quic);
    // Certificates are dated by the wall clock, which is not simulated.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let identity = Identity::generate(&*provider, WallTime(now)).expect("seeded keys can be made");
    let clock = ground.scenario.people[of(who)].clock;
    Endpoint::builder()
        .identity(identity)
        .timeouts(ground.scenario.timeouts)
        .simulated(Simulation { socket: ground.net.socket(who), provider, seed: quic, clock })
        .build()
        .expect("a simulated socket can be listened on")
}

async fn world(scenario: Scenario, twist: Twist, readable: bool) -> world::Outcome {
    let net = Net::new(scenario.seed, &scenario.links);
    let judge = Judge {
        check: Check::over_quic(&scenario),
        trace: Trace::new(readable),
        connected: [None; 2],
        ends: [None, None],
    };
    let ground = Arc::new(Ground {
        scenario,
        twist,
        net,
        judge: Mutex::new(judge),
        done: watch::Sender::new(false),
        graves: Mutex::default(),
    });
    let carrying = {
        let (net, caller) = (ground.net.clone(), ground.scenario.links[of(Role::Caller)].clone());
        tokio::spawn(async move { net.run(&caller, twist.moves).await })
    };
    let weather = tokio::spawn(weather(ground.clone()));
    let [callee, caller] = [Role::Callee, Role::Caller].map(|who| endpoint(&ground, who));
    let ticket =
        |of: &Endpoint, who| of.ticket_for(&[net::address(who)], HOUR).expect("an address makes a ticket");
    let (for_caller, for_callee) = (ticket(&callee, Role::Callee), ticket(&caller, Role::Caller));
    let a = Person::new(&ground, Role::Caller, caller.clone());
    let b = Person::new(&ground, Role::Callee, callee.clone());
    let people = async {
        match twist.crossing {
            None => tokio::join!(a.dials(for_caller), b.waits()),
            Some(after) => {
                tokio::join!(a.crosses(for_caller, Duration::ZERO), b.crosses(for_callee, after))
            }
        }
    };
    let over = timeout(LONGEST, people).await.is_ok();
    let lasted = ground.net.now();
    weather.abort();
    ground.graves.lock().expect("nothing panics with this lock held").clear();
    tokio::join!(caller.close(), callee.close());
    drop((caller, callee));
    carrying.abort();
    sleep(Duration::from_secs(1)).await;
    ground.finish(over, lasted)
}

/// Cuts the network and mends it as the script says.
async fn weather(ground: Arc<Ground>) {
    for step in &ground.scenario.script {
        if matches!(step.what, Action::Unplug | Action::Replug) {
            sleep_until(ground.net.instant(step.at)).await;
            ground.net.plug(step.what == Action::Replug);
            let now = ground.net.now();
            ground.judge(|judge| judge.trace.event(now, step.who, &format_args!("{:?}", step.what)));
        }
    }
}

impl Ground {
    fn finish(&self, over: bool, lasted: Time) -> world::Outcome {
        self.judge(|judge| {
            if !over {
                judge.check.fail(lasted, "the call does not end");
            }
            if self.net.is_flooded() {
                judge.check.fail(lasted, "packets without end");
            }
            let connected = judge.connected.iter().all(Option::is_some);
            let calm = self.scenario.is_calm() && self.twist.lost_with_answer == 0;
            let facts =
                Facts { calm, scenario: &self.scenario, crossing: self.twist.crossing.is_some(), connected };
            for who in ROLES {
                let (own, other) = (&judge.ends[of(who)], &judge.ends[of(who.other())]);
                match (own, other) {
                    (Some(own), Some(other)) if facts.fits(who, own, other) => {}
                    (own, other) => {
                        let text = |end: &Option<Outcome>| {
                            end.as_ref().map_or("not over".to_owned(), Outcome::to_string)
                        };
                        let what = format!("{who:?}: {}, while the other: {}", text(own), text(other));
                        judge.check.fail(lasted, what);
                    }
                }
            }
            let ends = ROLES.map(|who| (who, judge.ends[of(who)].as_ref().map(|end| end.summary(who, true))));
            let (hash, lines) = std::mem::replace(&mut judge.trace, Trace::new(false)).finish();
            let totals: [Totals; 2] = [judge.check.totals(Role::Callee), judge.check.totals(Role::Caller)];
            world::Outcome {
                hash,
                failures: judge.check.failures().to_vec(),
                ends: [ends[1].1, ends[0].1],
                totals,
                pictures: [Role::Callee, Role::Caller].map(|who| judge.check.pictures(who).to_vec()),
                sent: Default::default(),
                course: Default::default(),
                came: self.net.came(),
                setup: judge.connected[of(Role::Caller)].map(|at| at.since(Time::ZERO)),
                lasted: lasted.since(Time::ZERO),
                lines,
            }
        })
    }
}
