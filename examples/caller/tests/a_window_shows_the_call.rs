//! `--view window`, on an X server without a screen: what is sent is seen, in any size, under its name, and closing the
//! window leaves the call alone.
#![cfg(all(target_os = "linux", feature = "window"))]
#![allow(clippy::print_stderr)]

mod common;

use common::{Desk, until};
use kring::capture::{VideoFormat, Y4mWriter};
use kring::codec::Picture;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt, EventMask, ImageFormat, Window,
};
use x11rb::rust_connection::RustConnection;

/// An X server of its own.
struct Server {
    process: Child,
    name: String,
}

impl Server {
    /// `None` where there is no such program.
    fn start() -> Option<Server> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut number = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Server { process, name: format!(":{}", number.trim()) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Who looks at the display.
struct Eye {
    connection: RustConnection,
    root: Window,
}

impl Eye {
    fn open(server: &Server) -> Eye {
        let (connection, screen) = x11rb::connect(Some(&server.name)).unwrap();
        let root = connection.setup().roots[screen].root;
        Eye { connection, root }
    }

    fn title(&self, window: Window) -> String {
        let asked = self.connection.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 100);
        asked
            .unwrap()
            .reply()
            .map(|name| String::from_utf8_lossy(&name.value).into_owned())
            .unwrap_or_default()
    }

    /// The caller's windows.
    fn windows(&self) -> Vec<Window> {
        let all = self.connection.query_tree(self.root).unwrap().reply().unwrap().children;
        all.into_iter().filter(|window| self.title(*window).starts_with("kring")).collect()
    }

    fn size(&self, window: Window) -> (u16, u16) {
        let shape = self.connection.get_geometry(window).unwrap().reply().unwrap();
        (shape.width, shape.height)
    }

    /// Red, green and blue of a place in the window, in parts of its width and height.
    fn colour(&self, window: Window, across: f64, down: f64) -> Option<[u8; 3]> {
        let (width, height) = self.size(window);
        let at = |part: f64, of: u16| (part * f64::from(of)) as i16;
        let (x, y) = (at(across, width), at(down, height));
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, window, x, y, 1, 1, u32::MAX);
        let pixel = image.unwrap().reply().ok()?.data;
        Some([pixel[2], pixel[1], pixel[0]])
    }

    fn close(&self, window: Window) {
        let atom = |name: &[u8]| self.connection.intern_atom(false, name).unwrap().reply().unwrap().atom;
        let (protocols, close) = (atom(b"WM_PROTOCOLS"), atom(b"WM_DELETE_WINDOW"));
        let event = ClientMessageEvent::new(32, window, protocols, [close, 0, 0, 0, 0]);
        self.connection.send_event(false, window, EventMask::NO_EVENT, event).unwrap();
        self.connection.flush().unwrap();
    }
}

/// Luma, blue and red difference of the four quarters of the picture sent, and how they look.
const QUARTERS: [([u8; 3], [u8; 3]); 4] = [
    ([81, 90, 240], [255, 0, 0]),
    ([145, 54, 34], [0, 255, 0]),
    ([41, 240, 110], [0, 0, 255]),
    ([235, 128, 128], [255, 255, 255]),
];

/// Ten seconds of four colours.
fn pictures(path: &Path, width: u32, height: u32) {
    let format = VideoFormat::new(width, height, 5.0);
    let mut file = Y4mWriter::create(path, &format).unwrap();
    let mut picture = Picture::new(width, height).unwrap();
    let (w, h) = (width as usize, height as usize);
    let (y, u, v) = picture.planes_mut();
    for (plane, part, w, h) in [(y, 0, w, h), (u, 1, w / 2, h / 2), (v, 2, w / 2, h / 2)] {
        for (at, pixel) in plane.iter_mut().enumerate() {
            let quarter = at / w * 2 / h * 2 + at % w * 2 / w;
            *pixel = QUARTERS[quarter].0[part];
        }
    }
    for _ in 0..50 {
        file.write(&picture).unwrap();
    }
}

fn shows_the_quarters(eye: &Eye, window: Window) -> bool {
    let places = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
    places.iter().zip(QUARTERS).all(|(&(across, down), (_, expected))| {
        let seen = eye.colour(window, across, down);
        seen.is_some_and(|seen| seen.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 16))
    })
}

#[test]
fn a_window_shows_what_is_sent_and_closes_without_ending_the_call() {
    let Some(server) = Server::start() else {
        eprintln!("SKIPPED: there is no Xvfb here; `cargo xtask test` installs it");
        return;
    };
    let desk = Desk::new();
    desk.set("DISPLAY", &server.name);
    desk.set("WAYLAND_DISPLAY", "");
    let eye = Eye::open(&server);
    for (width, height) in [(640, 360), (1280, 720), (1920, 1080)] {
        pictures(&desk.path("quarters.y4m"), width, height);
        let answer = desk.answer("--accept all --camera quarters.y4m --mic tone --for 60");
        let mut call = desk.start("call", "call @ticket --view window --json --for 60");
        until("a window", || eye.windows().len() == 1);
        let window = eye.windows()[0];
        until("the colours", || shows_the_quarters(&eye, window));
        until("a title", || eye.title(window).starts_with("kring, connected: "));
        assert_eq!(u32::from(eye.size(window).0), width.min(1280));

        eye.connection.configure_window(window, &ConfigureWindowAux::new().width(500).height(281)).unwrap();
        eye.connection.flush().unwrap();
        until("another size", || eye.size(window) == (500, 281));
        until("the colours in it", || shows_the_quarters(&eye, window));

        eye.close(window);
        until("no window", || eye.windows().is_empty());
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(eye.windows().is_empty() && !call.out().contains("ended"), "{}", call.out());
        call.terminate();
        assert_eq!(call.wait(), 0, "{}", call.err());
        drop(answer);
    }
}

#[test]
fn without_a_display_it_is_said_before_anything_is_dialled() {
    let desk = Desk::new();
    desk.set("DISPLAY", "");
    desk.set("WAYLAND_DISPLAY", "");
    let (code, _, err) = desk.run("call", "call kring1abc --view window");
    assert!(code == 26 || code == 10, "{code}: {err}");
    let (code, _, err) = desk.run("answer", "answer --view window --for 5");
    assert_eq!(code, 26, "{err}");
    assert!(err.contains("there is no display") && err.contains("use terminal or none"), "{err}");
}
