//! What is printed, and where: data on stdout in the format asked for, words on stderr.
//!
//! Rules of this module:
//! - A command makes one view of its result. People see it as text, programs as JSON or YAML with
//!   the same content.
//! - Text that others wrote (authors, messages, names) cannot steer the terminal; see [`clean`].
//! - A closed stdout ends the command quietly, a closed stderr does not matter.

mod changes;
mod decimal;
mod money;
mod style;
mod table;
mod time;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use changes::{ChangeView, change_lines};
pub(crate) use decimal::Decimal;
pub(crate) use money::{SignedUsd, exact_signed_usd, exact_usd, usd};
pub(crate) use style::{Color, paint};
pub(crate) use table::Table;
pub(crate) use time::{ago, local, local_minute, local_time, remaining, rfc3339, span};

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    // Plain comments: clap would make a paragraph of each in every help text.
    // For people.
    Table,
    // For people, with every column.
    Wide,
    // One JSON value.
    Json,
    // One YAML document.
    Yaml,
}

/// How text for people looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Every column is wanted.
    pub(crate) wide: bool,
    /// Colours are wanted.
    pub(crate) color: bool,
}

/// The result of a command: serialised as it is, or shown as text.
pub(crate) trait View: Serialize {
    /// The text for people, ending with a line end unless it is empty.
    fn text(&self, look: Look) -> String;
}

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    /// Stdout is a terminal that understands its codes.
    terminal: bool,
    color_out: bool,
    color_err: bool,
}

/// Data could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Standard output does not take it.
    #[error("the result cannot be written to standard output")]
    Stdout(#[from] io::Error),
    /// The result has no JSON form.
    #[error("the result cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The result has no YAML form.
    #[error("the result cannot be written as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

impl WriteError {
    /// The kind of IO error it is.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Stdout(error) => error.kind(),
            Self::Json(_) | Self::Yaml(_) => io::ErrorKind::InvalidData,
        }
    }
}

impl Output {
    /// Prints in `format`; in colour where there is a terminal to show it, unless `plain`.
    pub(crate) fn new(format: Format, plain: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = !plain && !set("NO_COLOR") && !dumb;
        let terminal = io::stdout().is_terminal() && !dumb;
        Self {
            format,
            terminal,
            color_out: color && terminal,
            color_err: color && io::stderr().is_terminal(),
        }
    }

    /// Whether the result is for a program, which wants it whole and alone on stdout.
    pub(crate) const fn for_programs(self) -> bool {
        matches!(self.format, Format::Json | Format::Yaml)
    }

    /// Whether what was printed can be printed over: people look at it on a terminal.
    pub(crate) const fn is_live(self) -> bool {
        self.terminal && !self.for_programs()
    }

    /// How text for people looks.
    pub(crate) const fn look(self) -> Look {
        Look {
            wide: matches!(self.format, Format::Wide),
            color: self.color_out,
        }
    }

    /// The same output as text for people, whatever format was asked for.
    pub(crate) const fn for_people(self) -> Self {
        let format = match self.format {
            Format::Json | Format::Yaml => Format::Table,
            people => people,
        };
        Self { format, ..self }
    }

    /// Whether stderr is shown in colour, and so by a terminal.
    pub(crate) const fn color_err(self) -> bool {
        self.color_err
    }

    /// Prints the result of a command on stdout.
    pub(crate) fn data(self, view: &impl View) -> Result<(), WriteError> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(view)? + "\n",
            Format::Yaml => serde_saphyr::to_string(view)?,
            Format::Table | Format::Wide => view.text(self.look()),
        };
        Self::raw(&text)
    }

    /// Prints text on stdout as it is.
    pub(crate) fn raw(text: &str) -> Result<(), WriteError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// Clears the terminal that stdout is.
    pub(crate) fn clear() -> Result<(), WriteError> {
        Self::raw("\x1b[2J")
    }

    /// Prints text over what the terminal shows.
    pub(crate) fn over(text: &str) -> Result<(), WriteError> {
        let lines = text.lines().map(|line| format!("{line}\x1b[K\n"));
        Self::raw(&format!("\x1b[H{}\x1b[J", lines.collect::<String>()))
    }

    /// Lines of the terminal that stdout is.
    pub(crate) fn lines() -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(size.ws_row.into()).filter(|lines| *lines > 0)
    }

    /// Says something on stderr; the text ends with its own line end.
    pub(crate) fn words(text: &str) {
        // Nobody is there to be told that nobody reads stderr.
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }

    /// A label such as `error:` for stderr.
    pub(crate) fn label(self, label: &str, color: Color) -> String {
        paint(label, color, self.color_err)
    }
}

/// The text with its control characters written out, so that it stays on its line and leaves the
/// terminal alone.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// A number of things: `1 batch`, `35 batches`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    let name = if count == 1 { one } else { many };
    format!("{count} {name}")
}

/// The text of a view without colours.
#[cfg(test)]
pub(crate) fn plain(view: &impl View) -> String {
    view.text(Look {
        wide: false,
        color: false,
    })
}

/// The text of a view without colours, with every column.
#[cfg(test)]
pub(crate) fn wide(view: &impl View) -> String {
    view.text(Look {
        wide: true,
        color: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(clean("plain – text"), "plain – text");
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(clean("\u{9b}x"), "\\u{9b}x");
    }
}
