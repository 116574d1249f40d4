//! The command line: what parses here is complete and in range.

use crate::exit;
use clap::{Args, Parser, Subcommand, ValueEnum};
use kring::RelayAddress;
use kring::codec::ContentHint;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a ticket may hold.
const MAX_EXPIRY: Duration = Duration::from_secs(30 * 24 * 3600);

/// End-to-end encrypted calls from a terminal.
#[derive(Parser, Debug)]
#[command(name = "kring", version, after_help = exit::table(), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print a ticket and its QR code, and wait for calls.
    #[command(after_help = exit::table())]
    Answer(Answer),
    /// Call whoever gave out a ticket, or a contact.
    #[command(after_help = exit::table())]
    Call(Call),
    /// List the tickets that hold, or revoke one.
    #[command(after_help = exit::table())]
    Tickets(crate::tickets::Tickets),
    /// List the contacts, or change them.
    #[command(after_help = exit::table())]
    Contacts(crate::contacts::Contacts),
    /// Show this device's identity.
    Id(Home),
    /// List this machine's microphones, speakers and cameras.
    #[command(after_help = exit::table())]
    Devices(Devices),
}

#[derive(Args, Debug)]
pub(crate) struct Answer {
    /// Whose calls are taken: `ask` asks for each (and declines where there is no terminal), `all` takes every one.
    /// `all` is consent to send what the options below name to whoever holds the ticket
    #[arg(long, value_enum, default_value = "ask")]
    pub(crate) accept: Accept,
    /// Write the ticket to this file too, readable by its owner only
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_file: Option<PathBuf>,
    /// How long the ticket holds: a number with s, m, h or d, at most 30d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub(crate) expires: Duration,
    /// The ticket is good for one call: spent once a caller has proven who that is
    #[arg(long)]
    pub(crate) one_use: bool,
    /// Give out no ticket, and let nobody through but contacts
    #[arg(long, conflicts_with_all = ["one_use", "expires", "ticket_file", "passcode_file", "lobby"])]
    pub(crate) contacts_only: bool,
    /// Nobody rings with the ticket who does not know the passcode in this file [default: the environment's KRING_PASSCODE, if set].
    /// After three wrong ones a caller, and after ten everybody, has to wait until you let them in
    #[arg(long, value_name = "FILE")]
    pub(crate) passcode_file: Option<PathBuf>,
    /// Whoever comes by the ticket waits until you let them in, and learns nothing before; with `--accept all`
    /// everybody is let in
    #[arg(long)]
    pub(crate) lobby: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// A contact's name, or the ticket (kring1…), `-` to read it from standard input, `@FILE` to read it from a file. Without it, the
    /// environment's KRING_TICKET. A ticket is a secret: on the command line other users of this machine may see it
    pub(crate) ticket: Option<String>,
    /// The passcode that goes with the ticket [default: the environment's KRING_PASSCODE, if set; else it is asked for]
    #[arg(long, value_name = "FILE")]
    pub(crate) passcode_file: Option<PathBuf>,
    /// The contact from whom the ticket is: if somebody else answers, nothing is sent or played before you accept that
    #[arg(long, value_name = "NAME")]
    pub(crate) expect: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct Devices {
    /// Tell it as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// What is sent as sound: `device`, `device:NAME` (see `kring devices`), FILE.wav, `tone` or `none`; `auto` is
    /// `device` for a person at a terminal, if there is one and it is not for `--accept all`, and `none` otherwise
    #[arg(long, value_name = "WHAT", default_value = "auto", value_parser = microphone)]
    pub(crate) mic: Microphone,
    /// Where sound is played: `device`, `device:NAME`, or `none`, which is in real time into nothing; `auto` is
    /// `device` for a person at a terminal, if there is one, and `none` otherwise
    #[arg(long, value_name = "WHAT", default_value = "auto", value_parser = speaker)]
    pub(crate) speaker: Speaker,
    /// What is sent as pictures: `device`, `device:N` or `device:NAME`, FILE.y4m, `testcard`,
    /// `testcard:WIDTHxHEIGHT` or `none`
    #[arg(long, value_name = "WHAT", default_value = "none", value_parser = camera)]
    pub(crate) camera: Camera,
    /// What the pictures are like: `camera`, `screen` (sharp before smooth, for text) or `sign` (smooth before sharp, for sign language)
    #[arg(long, value_name = "WHAT", default_value = "camera")]
    pub(crate) content: Content,
    /// Where pictures are shown: `window`, `terminal` (in blocks of colour, above the state of the call) or `none`
    #[arg(long, value_name = "WHAT", default_value = "none", value_parser = view)]
    pub(crate) view: View,
    /// Listen at this address and port; port 0 is one that the system chooses
    #[arg(long, value_name = "ADDR:PORT", default_value_t = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))]
    pub(crate) bind: SocketAddr,
    /// Listen at this relay as well, so that you can be called where no address of this machine is reached; the ticket names it. A PIN has
    /// it be a relay with a certain key
    #[arg(long, value_name = "HOST:PORT[#PIN]")]
    pub(crate) relay: Option<RelayAddress>,
    /// Call and be called through relays only, so that the other side does not learn your addresses
    #[arg(long)]
    pub(crate) relay_only: bool,
    /// Have the router forward a port to you, by PCP or NAT-PMP, so that you can be called from outside; the ticket names it
    #[cfg(feature = "port-mapping")]
    #[arg(long)]
    pub(crate) map_port: bool,
    /// Find people on the local network, and be found there by contacts and whoever holds a ticket; others there see that somebody uses
    /// Kring, but not who
    #[cfg(feature = "lan")]
    #[arg(long)]
    pub(crate) lan: bool,
    /// Find contacts' relays in BitTorrent's DHT, and leave yours there for them; its nodes see your address
    #[cfg(feature = "dht")]
    #[arg(long)]
    pub(crate) dht: bool,
    /// Begin at this node of the DHT, rather than where BitTorrent's clients begin; may be given several times
    #[cfg(feature = "dht")]
    #[arg(long, value_name = "HOST:PORT", requires = "dht")]
    pub(crate) dht_node: Vec<String>,
    /// End after so many seconds, counted from the program's start
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) run_for: Option<Duration>,
    /// Write a JSON line of statistics to this file each second
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Record what is played and shown into this folder; the other side is told
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Tell what happens as JSON lines on standard output; nothing is asked then
    #[arg(long)]
    pub(crate) json: bool,
    /// The most that sound and pictures together may take, in kbit/s
    #[arg(long, value_name = "KBIT", default_value = "2000", value_parser = clap::value_parser!(u32).range(24..=20_000))]
    pub(crate) max_rate: u32,
    /// Fill pictures up to few sizes, so that their lengths tell less of what they show; costs a sixth of their rate
    #[arg(long)]
    pub(crate) pad_video: bool,
    /// How you want to be called; the other side sees that nobody has checked it
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = name)]
    pub(crate) name: String,
    /// Keep the other side of the first call as a contact of this name, unless they are one already
    #[arg(long, value_name = "NAME", value_parser = crate::contacts::name)]
    pub(crate) keep: Option<String>,
    /// Echo cancellation and noise suppression: `auto` is off for files
    #[arg(long, value_name = "auto|on|off", default_value = "auto", value_parser = processing)]
    pub(crate) processing: Processing,
    #[command(flatten)]
    pub(crate) home: Home,
}

#[derive(Args, Debug)]
pub(crate) struct Home {
    /// Where identity, tickets and contacts are kept [default: the environment's KRING_HOME, else the system's folder for data]
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accept {
    Ask,
    All,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Microphone {
    /// Not said; it is settled before anything is opened.
    Auto,
    /// The one of this name, or the system's own choice.
    Device(Option<String>),
    None,
    Tone,
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Camera {
    /// The one of this number or name, or the first.
    Device(Option<String>),
    None,
    /// Of that many pixels across and down.
    TestCard(u32, u32),
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Not said; it is settled before anything is opened.
    Auto,
    /// The one of this name, or the system's own choice.
    Device(Option<String>),
    None,
}

/// Where pictures go, beside a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Window,
    Terminal,
    None,
}

/// What pictures are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Content {
    Camera,
    Screen,
    Sign,
}

impl From<Content> for ContentHint {
    fn from(content: Content) -> ContentHint {
        match content {
            Content::Camera => ContentHint::Camera,
            Content::Screen => ContentHint::Screen,
            Content::Sign => ContentHint::Sign,
        }
    }
}

/// Sound is sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processing;

/// What follows `device`: a name, or nothing; `None` if `text` is something else.
fn device(text: &str, supported: bool, instead: &str) -> Option<Result<Option<String>, String>> {
    let rest = text.strip_prefix("device")?;
    let name = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some("") => {
            return Some(Err("expected a name after device:, came nothing; see `kring devices`".into()));
        }
        Some(name) => Some(name.to_owned()),
        None => return None,
    };
    Some(if supported { Ok(name) } else { Err(format!("this build is without devices; use {instead}")) })
}

fn microphone(text: &str) -> Result<Microphone, String> {
    if let Some(device) = device(text, cfg!(feature = "audio-io"), "FILE.wav, tone or none") {
        return device.map(Microphone::Device);
    }
    match text {
        "" => Err("expected device, FILE.wav, tone or none, came nothing".into()),
        "auto" => Ok(Microphone::Auto),
        "none" => Ok(Microphone::None),
        "tone" => Ok(Microphone::Tone),
        file => Ok(Microphone::File(file.into())),
    }
}

/// WIDTHxHEIGHT; what sizes there can be says the card itself.
fn test_card(size: &str) -> Result<Camera, String> {
    let sides = size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let (width, height) = sides
        .ok_or_else(|| format!("expected testcard:WIDTHxHEIGHT such as testcard:1280x720, came {size:?}"))?;
    Ok(Camera::TestCard(width, height))
}

fn camera(text: &str) -> Result<Camera, String> {
    if let Some(device) = device(text, cfg!(feature = "camera"), "FILE.y4m, testcard or none") {
        return device.map(Camera::Device);
    }
    match text {
        "" => Err("expected device, FILE.y4m, testcard or none, came nothing".into()),
        "none" => Ok(Camera::None),
        "testcard" => Ok(Camera::TestCard(640, 360)),
        _ if text.starts_with("testcard:") => test_card(&text["testcard:".len()..]),
        _ if text.split(':').next() == Some("screen") => {
            Err("this version cannot send a screen yet; use device, FILE.y4m, testcard or none".into())
        }
        file => Ok(Camera::File(file.into())),
    }
}

fn speaker(text: &str) -> Result<Speaker, String> {
    let instead = "none, and --record to keep what is played";
    if let Some(device) = device(text, cfg!(feature = "audio-io"), instead) {
        return device.map(Speaker::Device);
    }
    match text {
        "auto" => Ok(Speaker::Auto),
        "none" => Ok(Speaker::None),
        _ => Err("expected device, device:NAME or none; use --record to keep what is played".into()),
    }
}

fn view(text: &str) -> Result<View, String> {
    match text {
        "none" => Ok(View::None),
        "window" if cfg!(feature = "window") => Ok(View::Window),
        "window" => {
            Err("this build is without windows; use terminal, or --record to keep what is shown".into())
        }
        "terminal" => Ok(View::Terminal),
        _ => Err("expected window, terminal or none; use --record to keep what is shown".into()),
    }
}

fn processing(text: &str) -> Result<Processing, String> {
    match text {
        "auto" | "off" => Ok(Processing),
        "on" => Err("this version has no sound processing yet; use auto or off".into()),
        _ => Err("expected auto or off".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected seconds, more than 0 and at most a year, came {text:?}");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    // Not a number is in no range.
    if seconds > 0.0 && seconds <= 365.0 * 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a number with s, m, h or d, such as 24h, at most 30d; came {text:?}");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let duration = Duration::from_secs(number.checked_mul(unit).ok_or_else(wrong)?);
    if duration.is_zero() || duration > MAX_EXPIRY { Err(wrong()) } else { Ok(duration) }
}

fn name(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0..=64 => Ok(text.into()),
        came => Err(format!("expected a name of at most 64 characters, came {came}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("kring").chain(line.split_whitespace()))
    }

    fn refused(line: &str) -> String {
        parse(line).expect_err(line).to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn no_camera_is_sent_unless_it_is_named() {
        let Command::Answer(answer) = parse("answer").unwrap().command else { panic!() };
        assert_eq!((answer.common.mic, answer.common.camera), (Microphone::Auto, Camera::None));
        assert_eq!(answer.accept, Accept::Ask);
        assert_eq!(answer.expires, kring::DEFAULT_LIFETIME);
    }

    #[test]
    #[cfg(all(feature = "audio-io", feature = "camera"))]
    fn devices_are_named_or_left_to_the_system() {
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(microphone("device"), Ok(Microphone::Device(None)));
        assert_eq!(microphone("device:USB: left"), Ok(Microphone::Device(name("USB: left"))));
        assert_eq!(speaker("device:x"), Ok(Speaker::Device(name("x"))));
        assert_eq!(camera("device:1"), Ok(Camera::Device(name("1"))));
        assert!(refused("call x --mic device:").contains("expected a name after device:"));
    }

    #[test]
    fn what_cannot_be_done_yet_is_refused_with_what_to_use_instead() {
        let lines = [
            ("call x --camera screen:1", "testcard"),
            ("answer --speaker out.wav", "--record"),
            ("answer --view mirror", "--record"),
        ];
        for (line, instead) in lines {
            let text = refused(line);
            assert!(text.contains(instead), "{line}: {text}");
        }
        assert!(refused("answer --processing on").contains("no sound processing yet"));
        refused("call x --relay https://example.org");
    }

    #[test]
    fn a_build_without_devices_says_what_to_use_instead() {
        let text = device("device:x", false, "tone").unwrap().unwrap_err();
        assert!(text.contains("without devices") && text.contains("tone"), "{text}");
        assert_eq!(device("devices.wav", false, ""), None);
    }

    #[test]
    fn a_file_may_be_called_like_anything_else() {
        assert_eq!(microphone("a.wav"), Ok(Microphone::File("a.wav".into())));
        assert_eq!(microphone("./tone"), Ok(Microphone::File("./tone".into())));
        assert_eq!(camera("devices.y4m"), Ok(Camera::File("devices.y4m".into())));
        assert_eq!(camera("./testcard:1x1"), Ok(Camera::File("./testcard:1x1".into())));
    }

    #[test]
    fn a_test_card_has_any_size() {
        assert_eq!(camera("testcard"), Ok(Camera::TestCard(640, 360)));
        assert_eq!(camera("testcard:1280x720"), Ok(Camera::TestCard(1280, 720)));
        for wrong in ["testcard:", "testcard:720p", "testcard:-1x2", "testcard:99999999999x2"] {
            assert!(camera(wrong).unwrap_err().contains("WIDTHxHEIGHT"), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_and_kept_in_range() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("30d"), Ok(MAX_EXPIRY));
        for wrong in ["", "24", "h", "0h", "31d", "-1h", "1.5h", "99999999999999999999d", "1ü"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("29.5"), Ok(Duration::from_millis(29_500)));
        for wrong in ["0", "-1", "NaN", "inf", "1e99", "x", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_and_names_are_kept_in_range() {
        refused("call x --max-rate 23");
        refused("call x --max-rate 20001");
        refused("call x --content text");
        assert!(name(&"x".repeat(64)).is_ok() && name(&"ü".repeat(65)).is_err());
    }
}
