//! Tables without borders, as wide as their content, so that they can be cut and grepped.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement};

use super::clean;

/// A table with a head.
#[derive(Debug)]
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// A table with these columns; `>` before a name sets its column to the right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(columns.iter().map(|name| name.trim_start_matches('>')));
        for (column, name) in table.column_iter_mut().zip(columns) {
            column.set_padding((0, 2));
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self(table)
    }

    /// Adds a row.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.0.add_row(
            cells
                .into_iter()
                .map(|cell| clean(cell.as_ref()).into_owned()),
        );
    }

    /// The table as lines without spaces at their ends.
    pub(crate) fn text(&self) -> String {
        let mut text = self.0.trim_fmt();
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_with_their_text() {
        let mut table = Table::new(&["NAME", ">COUNT", "NOTE"]);
        table.row(["a", "5", ""]);
        table.row(["longer", "1000", "x\ny"]);
        assert_eq!(
            table.text(),
            "NAME    COUNT  NOTE\na           5\nlonger   1000  x\\ny\n"
        );
    }
}
