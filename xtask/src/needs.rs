//! What a task needs on this machine. Nothing is installed without a yes: from a terminal, by `--yes`, or by CI.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::Failure;
use crate::steps::clock;
use crate::workspace::{cargo, find_program, root};

/// A program, why it is needed, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// Any one of these programs will do; or, for what is no program, its name.
    programs: &'static [&'static str],
    kind: Kind,
    why: &'static str,
    source: Source,
}

/// How it is seen that something is there.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Program,
    /// pkg-config knows it.
    Library,
    /// A shared library, which lies in one of several folders.
    Shared,
    /// `libclang`, which lies in one of several folders.
    Clang,
    /// GStreamer has an element of this name.
    Element,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// A package of the system, as its package managers call it.
    Package { apt: &'static str, dnf: &'static str, pacman: &'static str, brew: &'static str },
    /// `cargo install --locked` with these words.
    Crate(&'static [&'static str]),
    /// Components of the Rust toolchain.
    Component(&'static [&'static str]),
}

const fn package(
    programs: &'static [&'static str],
    why: &'static str,
    [apt, dnf, pacman, brew]: [&'static str; 4],
) -> Need {
    Need { programs, kind: Kind::Program, why, source: Source::Package { apt, dnf, pacman, brew } }
}

/// What any build of the whole workspace needs: three of its libraries are written in C and C++.
pub(crate) const NATIVE: &[Need] = &[
    package(
        &["c++", "g++", "clang++"],
        "a C and C++ compiler, for OpenH264, Opus and AWS-LC",
        ["g++", "gcc-c++", "gcc", "gcc"],
    ),
    package(&["cmake"], "builds Opus", ["cmake"; 4]),
    package(&["make", "gmake"], "builds Opus, under cmake", ["make"; 4]),
    package(
        &["nasm"],
        "assembles OpenH264's fast paths: pictures take 2.5 times the CPU without",
        ["nasm"; 4],
    ),
    package(
        &["pkg-config", "pkgconf"],
        "tells builds where the system's libraries are",
        ["pkg-config", "pkgconf-pkg-config", "pkgconf", "pkgconf"],
    ),
    #[cfg(target_os = "linux")]
    Need {
        kind: Kind::Library,
        ..package(
            &["alsa"],
            "microphones and speakers: ALSA's headers",
            ["libasound2-dev", "alsa-lib-devel", "alsa-lib", "alsa-lib"],
        )
    },
    #[cfg(target_os = "linux")]
    Need {
        kind: Kind::Clang,
        ..package(
            &["libclang"],
            "cameras: reads the headers of Video4Linux",
            ["libclang1", "clang-libs", "clang", "llvm"],
        )
    },
];

/// A sound server, a camera, a display and what speaks to them, for a call by devices without hardware.
#[cfg(target_os = "linux")]
pub(crate) const DEVICES: &[Need] = &[
    package(
        &["Xvfb"],
        "a display without a screen, for a call that is shown in a window",
        ["xvfb", "xorg-x11-server-Xvfb", "xorg-server-xvfb", ""],
    ),
    shared(&["libX11.so.6"], ["libx11-6", "libX11", "libx11", ""]),
    shared(&["libXcursor.so.1"], ["libxcursor1", "libXcursor", "libxcursor", ""]),
    shared(&["libXi.so.6"], ["libxi6", "libXi", "libxi", ""]),
    shared(&["libxkbcommon-x11.so.0"], ["libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11", ""]),
    package(
        &["pulseaudio"],
        "a sound server without hardware, for a call by microphone and speaker",
        ["pulseaudio", "pulseaudio", "pulseaudio", "pulseaudio"],
    ),
    package(
        &["parec"],
        "speaks and listens to that sound server",
        ["pulseaudio-utils", "pulseaudio-utils", "libpulse", "pulseaudio"],
    ),
    package(
        &["pipewire"],
        "offers a camera without hardware, for a call with pictures",
        ["pipewire", "pipewire", "pipewire", ""],
    ),
    package(&["pw-cli"], "tells what PipeWire offers", ["pipewire-bin", "pipewire-utils", "pipewire", ""]),
    package(
        &["pw-v4l2"],
        "shows PipeWire's cameras to programs as Video4Linux's",
        ["pipewire-v4l2", "pipewire-v4l2", "pipewire-v4l2", ""],
    ),
    package(
        &["wireplumber"],
        "connects that camera with who opens it",
        ["wireplumber", "wireplumber", "wireplumber", ""],
    ),
    package(&["dbus-daemon"], "the bus that WirePlumber wants", ["dbus-daemon", "dbus-daemon", "dbus", ""]),
    package(
        &["gst-launch-1.0"],
        "runs what stands before that camera",
        ["gstreamer1.0-tools", "gstreamer1", "gstreamer", ""],
    ),
    element(
        &["videotestsrc"],
        "what stands before that camera",
        ["gstreamer1.0-plugins-base", "gstreamer1-plugins-base", "gst-plugins-base", ""],
    ),
    element(
        &["pipewiresink"],
        "brings it to PipeWire",
        ["gstreamer1.0-pipewire", "pipewire-gstreamer", "gst-plugin-pipewire", ""],
    ),
];
/// A key store that a test may open, on a bus of its own.
#[cfg(target_os = "linux")]
pub(crate) const KEY_STORE: &[Need] = &[
    package(
        &["gnome-keyring-daemon"],
        "a key store, for a test of secrets that are sealed with its key",
        ["gnome-keyring", "gnome-keyring", "gnome-keyring", ""],
    ),
    package(
        &["dbus-run-session"],
        "the bus on which it is asked",
        ["dbus-daemon", "dbus-daemon", "dbus", ""],
    ),
];

/// What looks at the C library and at programs over it.
#[cfg(target_os = "linux")]
pub(crate) const C_LIBRARY: &[Need] = &[
    package(
        &["valgrind"],
        "runs programs in C over the library, and looks for wrong use of memory",
        ["valgrind"; 4],
    ),
    package(
        &["abidiff"],
        "compares the C library's ABI with the committed one",
        ["abigail-tools", "libabigail", "", ""],
    ),
];

/// What makes networks of namespaces, with routers between them.
#[cfg(target_os = "linux")]
pub(crate) const NETWORKS: &[Need] = &[
    package(&["nft"], "routers with NAT, for calls between networks made of namespaces", ["nftables"; 4]),
    package(&["ip"], "makes those namespaces", ["iproute2", "iproute", "iproute2", ""]),
];

/// Elsewhere these tests are left out.
#[cfg(not(target_os = "linux"))]
pub(crate) const C_LIBRARY: &[Need] = &[];
#[cfg(not(target_os = "linux"))]
pub(crate) const NETWORKS: &[Need] = &[];
#[cfg(not(target_os = "linux"))]
pub(crate) const KEY_STORE: &[Need] = &[];
#[cfg(not(target_os = "linux"))]
pub(crate) const DEVICES: &[Need] = &[];

/// A library that a window is opened with.
#[cfg(target_os = "linux")]
const fn shared(files: &'static [&'static str], packages: [&'static str; 4]) -> Need {
    Need { kind: Kind::Shared, ..package(files, "the caller's window speaks to the display by it", packages) }
}

#[cfg(target_os = "linux")]
const fn element(elements: &'static [&'static str], why: &'static str, packages: [&'static str; 4]) -> Need {
    Need { kind: Kind::Element, ..package(elements, why, packages) }
}

impl Need {
    pub(crate) const TSHARK: Self = package(
        &["tshark"],
        "one test captures a call and lets Wireshark look for anything readable",
        ["tshark", "wireshark-cli", "wireshark-cli", "wireshark"],
    );
    pub(crate) const NEXTEST: Self = Self {
        programs: &["cargo-nextest"],
        kind: Kind::Program,
        why: "runs the tests, each in a process of its own, with a time limit",
        // Without the part that updates itself, a third of the build.
        source: Source::Crate(&["cargo-nextest", "--no-default-features", "--features", "default-no-update"]),
    };
    pub(crate) const DENY: Self = Self {
        programs: &["cargo-deny"],
        kind: Kind::Program,
        why: "checks the dependencies' licences and where they come from",
        source: Source::Crate(&["cargo-deny"]),
    };
    pub(crate) const CBINDGEN: Self = Self {
        programs: &["cbindgen"],
        kind: Kind::Program,
        why: "makes the C header of kring-ffi from its source",
        // Another version may lay the same header out in another way.
        source: Source::Crate(&["cbindgen", "--version", "0.29.4"]),
    };
    pub(crate) const LINTERS: Self = Self {
        programs: &["cargo-clippy"],
        kind: Kind::Program,
        why: "clippy and rustfmt, the linter and the formatter of Rust",
        source: Source::Component(&["clippy", "rustfmt"]),
    };

    fn is_met(&self) -> bool {
        match self.kind {
            Kind::Program => self.programs.iter().any(|p| find_program(p).is_some()),
            Kind::Library => self.programs.iter().any(|p| {
                let asked = Command::new("pkg-config").args(["--exists", p]).status();
                asked.is_ok_and(|status| status.success())
            }),
            Kind::Shared => {
                let folders = system_folders();
                folders.iter().any(|folder| self.programs.iter().any(|file| folder.join(file).exists()))
            }
            Kind::Clang => has_libclang(),
            Kind::Element => self.programs.iter().any(|p| {
                let mut asked = Command::new("gst-inspect-1.0");
                asked.arg(p).stdout(Stdio::null()).stderr(Stdio::null());
                asked.status().is_ok_and(|status| status.success())
            }),
        }
    }
}

/// Where bindgen looks as well: the place that is named, the system's folders, and those of each version of LLVM.
fn has_libclang() -> bool {
    let holds = |folder: &Path| {
        let names = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.into_string().ok()).any(|name| {
            let own = name.starts_with("libclang.so") || name.starts_with("libclang-");
            own && name.contains(".so") && !name.starts_with("libclang-cpp")
        })
    };
    if let Some(named) = env::var_os("LIBCLANG_PATH") {
        return holds(Path::new(&named)) || Path::new(&named).is_file();
    }
    let mut folders = system_folders();
    for entry in Path::new("/usr/lib").read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("llvm") {
            folders.push(entry.path().join("lib"));
        }
    }
    folders.iter().any(|folder| holds(folder))
}

/// Where systems keep libraries.
fn system_folders() -> Vec<PathBuf> {
    let own = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
    ["/usr/lib64", "/usr/lib", "/usr/local/lib", &own].into_iter().map(PathBuf::from).collect()
}

/// Makes sure that all of it is there.
///
/// # Errors
///
/// [`Failure::Missing`] if it is not and may not or can't be installed from here; [`Failure::Failed`] if the
/// installation went wrong.
pub(crate) fn ensure(needs: &[Need], yes: bool) -> Result<(), Failure> {
    let missing: Vec<Need> = needs.iter().filter(|n| !n.is_met()).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("Missing on this machine:");
    for need in &missing {
        println!("  {:<14} {}", need.programs[0], need.why);
    }
    let has_packages = missing.iter().any(|n| matches!(n.source, Source::Package { .. }));
    if has_packages && find_program("apt-get").is_none() {
        return Err(Failure::missing(format!(
            "this system has no apt-get, so the packages are yours to install; then run this again.\n{}",
            other_systems(&missing)
        )));
    }
    let plan = plan(&missing, if has_packages { privileged()? } else { &[] });
    println!("To install it:");
    for command in &plan {
        println!("  {}", command.join(" "));
    }
    if !allowed(yes)? {
        return Err(Failure::missing(
            "nothing was installed; run the commands above, or this task again with --yes",
        ));
    }
    for command in &plan {
        install(command)?;
    }
    match missing.iter().find(|n| !n.is_met()) {
        None => Ok(()),
        Some(need) => Err(Failure::failed(format!(
            "expected {} in PATH after its installation, but it is not there; is PATH set as the installer wants it?",
            need.programs[0]
        ))),
    }
}

/// The commands that install it all; `sudo` is put before those of the system.
fn plan(missing: &[Need], sudo: &[&str]) -> Vec<Vec<String>> {
    let mut packages = Vec::new();
    let mut rest: Vec<Vec<String>> = Vec::new();
    let words = |line: &[&str]| line.iter().map(ToString::to_string).collect::<Vec<_>>();
    for need in missing {
        match need.source {
            Source::Package { apt, .. } => packages.push(apt),
            Source::Crate(names) => {
                rest.push([words(&["cargo", "install", "--locked"]), words(names)].concat())
            }
            Source::Component(names) => {
                rest.push([words(&["rustup", "component", "add"]), words(names)].concat())
            }
        }
    }
    let mut plan = Vec::new();
    if !packages.is_empty() {
        let start = [words(sudo), words(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])].concat();
        plan.push([start.clone(), words(&["update", "-q"])].concat());
        plan.push(
            [start, words(&["install", "-q", "-y", "--no-install-recommends"]), words(&packages)].concat(),
        );
    }
    plan.extend(rest);
    plan
}

fn other_systems(missing: &[Need]) -> String {
    let mut lines = [
        String::from("  Fedora:  dnf install"),
        String::from("  Arch:    pacman -S --needed"),
        String::from("  macOS:   brew install"),
    ];
    for need in missing {
        if let Source::Package { dnf, pacman, brew, .. } = need.source {
            let named = lines.iter_mut().zip([dnf, pacman, brew]).filter(|(_, name)| !name.is_empty());
            named.for_each(|(line, name)| *line = format!("{line} {name}"));
        }
    }
    lines.join("\n")
}

fn allowed(yes: bool) -> Result<bool, Failure> {
    if yes || env::var_os("CI").is_some_and(|v| !v.is_empty()) {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Do this now? [Y/n] ");
    let mut answer = String::new();
    let read = io::stdout().flush().and_then(|()| io::stdin().read_line(&mut answer));
    let read =
        read.map_err(|e| Failure::failed(format!("expected an answer, Y or n, and could not read it: {e}")))?;
    // The end of the input is not a yes.
    Ok(read > 0 && matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

fn install(line: &[String]) -> Result<(), Failure> {
    println!("==> {}", line.join(" "));
    let began = Instant::now();
    let mut command = if line[0] == "cargo" { cargo(&[]) } else { Command::new(&line[0]) };
    command.args(&line[1..]).current_dir(root());
    if line[0] == "cargo" {
        // A tool that runs for seconds need not be optimised for minutes.
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    }
    let status = command.status();
    println!("    {}", clock(began.elapsed()));
    match status {
        Ok(s) if s.success() => Ok(()),
        // Stale package lists may still do; what is wrong then shows in the next command.
        Ok(_) if line.iter().any(|w| w == "update") => Ok(()),
        Ok(s) => Err(Failure::failed(format!("`{}` ended with {s}; what it said is above", line.join(" ")))),
        Err(e) => Err(Failure::failed(format!("`{}` did not start: {e}", line.join(" ")))),
    }
}

/// What has to stand before a command that changes the system: nothing for root, else `sudo`.
fn privileged() -> Result<&'static [&'static str], Failure> {
    let id = Command::new("id").arg("-u").output();
    if id.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        return Ok(&[]);
    }
    match find_program("sudo") {
        Some(_) => Ok(&["sudo"]),
        None => Err(Failure::missing(
            "expected to be root or to have sudo, and have neither; as root, install what is missing, then run this again",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_packages_come_before_what_needs_a_compiler() {
        let plan = plan(&[Need::NEXTEST, Need::TSHARK], &["sudo"]);
        assert_eq!(plan[0].join(" "), "sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q");
        assert!(plan[1].ends_with(&["tshark".into()]));
        assert!(plan[2].join(" ").starts_with("cargo install --locked cargo-nextest"));
    }

    #[test]
    fn other_systems_are_told_their_own_names() {
        let text = other_systems(&[NATIVE[0], Need::TSHARK, Need::DENY]);
        assert!(text.contains("dnf install gcc-c++ wireshark-cli"), "{text}");
        assert!(text.contains("brew install gcc wireshark"), "{text}");
        assert!(!text.contains("deny"), "{text}");
    }

    #[test]
    fn nothing_missing_asks_nothing() {
        const SHELL: Need = package(&["no-such-program", "cargo"], "", [""; 4]);
        assert!(ensure(&[SHELL], false).is_ok());
    }
}
