//! Figures in columns.

use std::fmt;

const NAMES: usize = 12;
const COLUMN: usize = 12;

/// Is filled column by column; each must have the same rows.
#[derive(Debug)]
pub(super) struct Table {
    head: String,
    rows: Vec<(&'static str, String)>,
    next: usize,
}

impl Table {
    pub(super) fn new(name: &'static str) -> Self {
        Self { head: format!("{name:NAMES$}"), rows: Vec::new(), next: 0 }
    }

    pub(super) fn column(&mut self, name: &'static str) {
        self.head.push_str(&format!("{name:>COLUMN$}"));
        self.next = 0;
    }

    /// The next cell of the last column.
    pub(super) fn cell(&mut self, row: &'static str, text: &str) {
        if self.next == self.rows.len() {
            self.rows.push((row, format!("{row:NAMES$}")));
        }
        let (name, line) = &mut self.rows[self.next];
        debug_assert_eq!(*name, row, "columns have the same rows");
        line.push_str(&format!("{text:>COLUMN$}"));
        self.next += 1;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head)?;
        self.rows.iter().try_for_each(|(_, line)| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heads() {
        let mut table = Table::new("tea");
        table.column("mint");
        table.cell("cups", "3");
        table.cell("price", "590");
        table.column("assam");
        table.cell("cups", "12");
        table.cell("price", "890");
        let lines = ["tea                 mint       assam", "cups                   3          12", ""];
        assert_eq!(
            table.to_string(),
            format!("{}\n{}\nprice                590         890\n{}", lines[0], lines[1], lines[2])
        );
    }
}
