//! What stands for windows in a build without them.

/// What a window would be called.
#[derive(Clone, Default)]
pub(crate) struct Pane;

impl Pane {
    pub(crate) fn set_title(&self, _: &str) {}

    pub(crate) fn set_size(&self, _: (u32, u32)) {}
}
