//! Colours, where the terminal shows them.

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// New, well.
    Good,
    /// Gone, failed.
    Bad,
    /// Changed, worth a look.
    Note,
}

impl Color {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
            Self::Note => "\x1b[33m",
        }
    }
}

/// The text in the colour, if `on`.
pub(crate) fn paint(text: &str, color: Color, on: bool) -> String {
    if on {
        format!("{}{text}\x1b[0m", color.code())
    } else {
        text.to_owned()
    }
}
