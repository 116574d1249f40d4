//! Keys, while something is to be pressed. The terminal is given back as it was, even after a panic.

use crate::output::Output;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How soon the thread notices that no key is wanted any more.
const LOOK_UP: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// While something is [typed](Keys::typing): a character as it is, the end, and one taken back.
    Typed(char),
    Enter,
    Backspace,
    /// Ctrl-C, which a terminal in raw mode passes on as a key.
    Interrupt,
}

/// Has the terminal restored if the program panics.
pub(crate) fn restore_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = terminal::disable_raw_mode();
        tell(panic);
    }));
}

/// A terminal in raw mode, until this is dropped.
pub(crate) struct Keys {
    output: Arc<Output>,
    pressed: mpsc::Receiver<Key>,
    over: Arc<AtomicBool>,
    typing: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keys {
    /// Begins to read keys, if there is a terminal to read them from.
    pub(crate) fn read(output: &Arc<Output>) -> Option<Keys> {
        if !output.can_ask() || terminal::enable_raw_mode().is_err() {
            return None;
        }
        output.set_raw(true);
        let (press, pressed) = mpsc::channel(16);
        let over = Arc::new(AtomicBool::new(false));
        let typing = Arc::new(AtomicBool::new(false));
        let types = typing.clone();
        let mut keys = Keys { output: output.clone(), pressed, over: over.clone(), typing, thread: None };
        let thread = std::thread::Builder::new().name("kring-keys".into()).spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let key = match event::poll(LOOK_UP) {
                    Ok(true) => {
                        event::read().ok().and_then(|event| key(event, types.load(Ordering::Relaxed)))
                    }
                    Ok(false) => None,
                    Err(_) => return,
                };
                if let Some(key) = key {
                    let _ = press.try_send(key);
                }
            }
        });
        keys.thread = thread.ok();
        Some(keys)
    }
}

impl Keys {
    /// Whether keys are letters of a text from now on.
    pub(crate) fn typing(&self, on: bool) {
        self.typing.store(on, Ordering::Relaxed);
    }
}

/// The next key; never, without a terminal.
pub(crate) async fn next(keys: &mut Option<Keys>) -> Key {
    if let Some(keys) = keys
        && let Some(key) = keys.pressed.recv().await
    {
        return key;
    }
    std::future::pending().await
}

fn key(event: Event, typing: bool) -> Option<Key> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c' | 'C') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        KeyCode::Char(c) if typing => Some(Key::Typed(c)),
        KeyCode::Enter if typing => Some(Key::Enter),
        KeyCode::Backspace if typing => Some(Key::Backspace),
        KeyCode::Char(c) => Some(Key::Char(c.to_ascii_lowercase())),
        KeyCode::Esc => Some(Key::Char('q')),
        _ => None,
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = terminal::disable_raw_mode();
        self.output.set_raw(false);
    }
}
