//! Windows that show what the other side sends.
//!
//! Guarantee: the call never waits for a window. Only the newest picture is kept for it, and it is drawn when the display is
//! ready for another. Closing the window closes the window; the call goes on.

mod paint;

use crate::pixels::fit;
use kring::capture::{SinkError, VideoSink};
use kring::codec::Picture;
use paint::Paint;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop, EventLoopProxy};
use winit::window::{Window, WindowId};

/// How often a display shows pictures if it does not say.
const REFRESH: Duration = Duration::from_millis(16);
/// No window opens larger than that, in pixels.
const LARGEST: (u32, u32) = (1280, 720);

/// What a call has to show, and what its window is called; clones are of the same call.
#[derive(Clone, Default)]
pub(crate) struct Pane(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    picture: Option<Picture>,
    /// The picture was not drawn yet.
    is_new: bool,
    /// What the other side announced; the first pictures may be smaller.
    size: Option<(u32, u32)>,
    title: String,
    closed: bool,
}

impl Pane {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the window, now and when it opens.
    pub(crate) fn set_title(&self, title: &str) {
        let mut content = self.content();
        if content.title != title {
            title.clone_into(&mut content.title);
            if content.picture.is_some() {
                order(Order::Changed(self.clone()));
            }
        }
    }

    /// Tells how large the pictures will be, in pixels across and down.
    pub(crate) fn set_size(&self, size: (u32, u32)) {
        self.content().size = Some(size);
    }

    fn is(&self, other: &Pane) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Shows a call's pictures in a window, which opens with the first of them.
pub(crate) struct WindowView(pub(crate) Pane);

impl VideoSink for WindowView {
    fn show(&mut self, picture: &Picture, _: Instant) -> Result<(), SinkError> {
        let mut content = self.0.content();
        if content.closed {
            return Ok(());
        }
        match &mut content.picture {
            Some(shown) => shown.copy_from(picture),
            none => *none = Some(picture.clone()),
        }
        // One word for several pictures that come before the window has drawn.
        if !std::mem::replace(&mut content.is_new, true) {
            order(Order::Changed(self.0.clone()));
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.0.content().closed = true;
        order(Order::Close(self.0.clone()));
    }
}

/// Connects with the display.
///
/// # Errors
/// Says what is missing.
pub(crate) fn check() -> Result<(), String> {
    display().as_ref().map(drop).map_err(Clone::clone)
}

enum Order {
    /// There is another picture or title.
    Changed(Pane),
    Close(Pane),
}

fn order(order: Order) {
    if let Ok(windows) = display() {
        // It fails when the program ends.
        let _ = windows.send_event(order);
    }
}

/// The thread that owns all windows; a program can have one only.
fn display() -> &'static Result<EventLoopProxy<Order>, String> {
    static DISPLAY: OnceLock<Result<EventLoopProxy<Order>, String>> = OnceLock::new();
    DISPLAY.get_or_init(|| {
        let (tell, told) = mpsc::channel();
        let run = move || {
            let events = match events() {
                Ok(events) => events,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let _ = tell.send(Ok(events.create_proxy()));
            let _ = events.run_app(&mut Windows::default());
        };
        let thread = std::thread::Builder::new().name("kring-window".into()).spawn(run);
        thread.map_err(|error| format!("the system gives no thread ({error})"))?;
        told.recv().unwrap_or_else(|_| Err("the display was lost".into()))
    })
}

#[cfg(any(target_os = "linux", windows))]
fn events() -> Result<EventLoop<Order>, String> {
    #[cfg(windows)]
    use winit::platform::windows::EventLoopBuilderExtWindows;
    #[cfg(target_os = "linux")]
    use winit::platform::x11::EventLoopBuilderExtX11;
    let mut builder = EventLoop::with_user_event();
    builder.with_any_thread(true).build().map_err(|error| format!("there is no display ({error})"))
}

#[cfg(not(any(target_os = "linux", windows)))]
fn events() -> Result<EventLoop<Order>, String> {
    Err("this system gives windows to a program's first thread only, which here does other things".into())
}

#[derive(Default)]
struct Windows(Vec<Open>);

struct Open {
    pane: Pane,
    window: Arc<Window>,
    paint: Paint,
    refresh: Duration,
    drawn: Instant,
    /// Something changed since.
    due: bool,
}

impl Windows {
    fn open(&mut self, events: &ActiveEventLoop, pane: Pane) {
        let content = pane.content();
        let Some(picture) = &content.picture else { return };
        let size = content.size.unwrap_or((picture.width(), picture.height()));
        let (width, height) = fit(size, (size.0.min(LARGEST.0), size.1.min(LARGEST.1)));
        let attributes = Window::default_attributes()
            .with_title(&content.title)
            .with_inner_size(PhysicalSize::new(width, height));
        drop(content);
        let opened = events.create_window(attributes).map_err(|error| error.to_string());
        let opened = opened.map(Arc::new).and_then(|window| {
            let paint = Paint::new(window.clone()).map_err(|error| error.to_string())?;
            Ok((window, paint))
        });
        let Ok((window, paint)) = opened else {
            // Without a window there is nobody to tell but the one who hears.
            pane.content().closed = true;
            return;
        };
        let rate = window.current_monitor().and_then(|monitor| monitor.refresh_rate_millihertz());
        let refresh = rate.filter(|rate| *rate > 0).map_or(REFRESH, |rate| Duration::from_secs(1000) / rate);
        self.0.push(Open { pane, window, paint, refresh, drawn: Instant::now(), due: true });
    }
}

impl ApplicationHandler<Order> for Windows {
    fn resumed(&mut self, _: &ActiveEventLoop) {}

    fn user_event(&mut self, events: &ActiveEventLoop, order: Order) {
        match order {
            Order::Close(pane) => self.0.retain(|open| !open.pane.is(&pane)),
            Order::Changed(pane) => match self.0.iter_mut().find(|open| open.pane.is(&pane)) {
                Some(open) => {
                    open.window.set_title(&pane.content().title);
                    open.due = true;
                }
                None if !pane.content().closed => self.open(events, pane),
                None => {}
            },
        }
    }

    fn window_event(&mut self, _: &ActiveEventLoop, id: WindowId, event: WindowEvent) {
        let Some(at) = self.0.iter().position(|open| open.window.id() == id) else { return };
        match event {
            WindowEvent::CloseRequested => self.0.swap_remove(at).pane.content().closed = true,
            WindowEvent::Resized(_) => self.0[at].due = true,
            WindowEvent::RedrawRequested => {
                let open = &mut self.0[at];
                (open.due, open.drawn) = (false, Instant::now());
                let mut content = open.pane.content();
                content.is_new = false;
                if let Some(picture) = &content.picture {
                    let size = open.window.inner_size();
                    // A picture that could not be drawn is followed by another.
                    let _ = open.paint.draw(picture, (size.width, size.height));
                }
            }
            _ => {}
        }
    }

    /// Has windows drawn whose display is ready, and waits for the others'.
    fn about_to_wait(&mut self, events: &ActiveEventLoop) {
        let now = Instant::now();
        let mut next = ControlFlow::Wait;
        for open in self.0.iter().filter(|open| open.due) {
            let ready = open.drawn + open.refresh;
            if ready <= now {
                open.window.request_redraw();
            } else if !matches!(next, ControlFlow::WaitUntil(first) if first <= ready) {
                next = ControlFlow::WaitUntil(ready);
            }
        }
        events.set_control_flow(next);
    }
}
