//! A camera without hardware: PipeWire offers coloured bars that wander, and a preloaded library lets a program read
//! them as a camera of Video4Linux. All of it lives in a folder of its own and ends with the value; no camera or sound
//! card of this machine is looked at.

use super::Own;
use crate::common::until;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the camera gives. A program sees it as camera 0.
const SIZE: (u32, u32) = (1280, 720);
const NODE: &str = "bars";
/// WirePlumber before 0.5 reads the first two, later ones the third: no devices of this machine.
const NO_HARDWARE: [(&str, &str); 3] = [
    (
        "main.lua.d/51-no-hardware.lua",
        "alsa_monitor.enabled = false\nv4l2_monitor.enabled = false\nlibcamera_monitor.enabled = false\n",
    ),
    ("bluetooth.lua.d/51-no-hardware.lua", "bluez_monitor.enabled = false\n"),
    (
        "wireplumber.conf.d/51-no-hardware.conf",
        "wireplumber.profiles = { main = { hardware.audio = disabled, hardware.bluetooth = disabled, hardware.video-capture = disabled } }\n",
    ),
];

pub(crate) struct Camera {
    folder: PathBuf,
    bridge: PathBuf,
    /// Ended from the camera down to what it stands on.
    _programs: Vec<Own>,
}

impl Camera {
    /// `None` where something for it is missing. A new one is needed for each time it is opened.
    pub(crate) fn start(folder: &Path) -> Option<Camera> {
        if Path::new("/dev/video0").exists() {
            println!("SKIPPED: this machine has a camera, /dev/video0, and the test might open that one");
            return None;
        }
        let bridge = bridge();
        let lacking = ["dbus-daemon", "pipewire", "pw-cli", "wireplumber", "gst-launch-1.0", "cc"]
            .into_iter()
            .find(|program| !there(Command::new(program).arg("--version")))
            .or_else(|| bridge.is_none().then_some("libpw-v4l2.so"))
            .or_else(|| {
                let sink = there(Command::new("gst-inspect-1.0").arg("pipewiresink"));
                (!sink).then_some("GStreamer's pipewiresink")
            });
        if let Some(lacking) = lacking {
            println!("SKIPPED: no {lacking} on this machine; `cargo xtask test --yes` installs it");
            return None;
        }
        let configuration = folder.join("wireplumber");
        for (file, text) in NO_HARDWARE {
            let path = configuration.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        let shim = Command::new("cc")
            .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(folder.join("shim.so"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/devices/camera.c"))
            .arg("-ldl")
            .status();
        assert!(shim.unwrap().success(), "cc does not compile camera.c");

        let mut camera = Camera { folder: folder.to_owned(), bridge: bridge.unwrap(), _programs: Vec::new() };
        let bus = format!("--address={}", camera.bus());
        camera.run("dbus-daemon", &["--session", "--nofork", "--nopidfile", &bus]);
        until("the bus", || folder.join("bus").exists());
        camera.run("pipewire", &[]);
        until("PipeWire", || folder.join("pipewire-0").exists());
        camera.run("wireplumber", &[]);
        let caps = format!("video/x-raw,format=YUY2,width={},height={},framerate=30/1", SIZE.0, SIZE.1);
        let about = format!("props,media.class=Video/Source,media.role=Camera,node.name={NODE}");
        let (caps, about) = (caps.as_str(), format!("stream-properties={about}"));
        let bars = ["videotestsrc", "is-live=true", "pattern=smpte75", "horizontal-speed=16"];
        let sink = ["identity", "sync=true", "!", "pipewiresink", "mode=provide", "sync=true", &about];
        camera.run("gst-launch-1.0", &[&["-q"], &bars[..], &["!", caps, "!"], &sink].concat());
        camera.listed("Client", "WirePlumber");
        camera.listed("Node", NODE);
        Some(camera)
    }

    /// What a program needs in its environment to see the camera.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let shim = self.folder.join("shim.so");
        [
            ("LD_PRELOAD", format!("{} {}", shim.display(), self.bridge.display())),
            ("PIPEWIRE_RUNTIME_DIR", self.folder.display().to_string()),
        ]
    }

    fn bus(&self) -> String {
        format!("unix:path={}/bus", self.folder.display())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for name in ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME"] {
            command.env(name, &self.folder);
        }
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "PIPEWIRE_RUNTIME_DIR", "PIPEWIRE_REMOTE"] {
            command.env_remove(name);
        }
        command.env("DBUS_SESSION_BUS_ADDRESS", self.bus());
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&mut self, program: &str, arguments: &[&str]) {
        let said = File::create(self.folder.join(format!("{program}.log"))).unwrap();
        let mut command = self.command(program, arguments);
        command.stdout(said.try_clone().unwrap()).stderr(said);
        self._programs.insert(0, Own(command.spawn().unwrap()));
    }

    /// Waits until PipeWire knows of something.
    fn listed(&self, kind: &str, name: &str) {
        until(name, || {
            let asked = self.command("pw-cli", &["ls", kind]).output().unwrap();
            String::from_utf8_lossy(&asked.stdout).contains(&format!("\"{name}\""))
        });
    }
}

fn there(command: &mut Command) -> bool {
    let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// PipeWire's library that stands in for Video4Linux, where Debian, Fedora and Arch have it.
fn bridge() -> Option<PathBuf> {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let folders = [multiarch.as_str(), "/usr/lib64", "/usr/lib"];
    folders
        .iter()
        .map(|folder| Path::new(folder).join("pipewire-0.3/v4l2/libpw-v4l2.so"))
        .find(|p| p.exists())
}

/// Bars of three quarters' brightness from left to right, as Y, U and V by ITU-R BT.709.
const BARS: [[u8; 3]; 7] = [
    [180, 128, 128],
    [168, 44, 136],
    [145, 147, 44],
    [133, 63, 52],
    [63, 193, 204],
    [51, 109, 212],
    [28, 212, 120],
];

/// How far, in pixels, the bars have wandered to the left in this I420 picture; `None` if it is no picture of them.
pub(crate) fn wandered(picture: &[u8], width: usize, height: usize) -> Option<usize> {
    let (y, chroma) = picture.split_at(width * height);
    let (u, v) = chroma.split_at(width * height / 4);
    let rows = [height / 8, height / 2, height * 7 / 8];
    let places = rows.iter().flat_map(|row| (0..width).step_by(16).map(move |x| (x, *row)));
    let samples: Vec<(usize, [u8; 3])> = places
        .map(|(x, row)| {
            let half = row / 2 * (width / 2) + x / 2;
            (x, [y[row * width + x], u[half], v[half]])
        })
        .collect();
    let fits = |shift: usize| {
        let fitting = samples.iter().filter(|(x, sample)| {
            let bar = BARS[(x + shift) % width * BARS.len() / width];
            sample.iter().zip(bar).all(|(a, b)| a.abs_diff(b) <= 20)
        });
        fitting.count()
    };
    let (best, shift) = (0..width).step_by(4).map(|shift| (fits(shift), shift)).max()?;
    // Edges are blurred.
    (best * 10 > samples.len() * 8).then_some(shift)
}
