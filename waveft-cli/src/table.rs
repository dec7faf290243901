//! Columns that line up.

use unicode_width::UnicodeWidthStr as _;

use crate::output::{HEADING, printable};

/// Rows of a table of modules; of more, the first are shown.
pub(crate) const MOST_ROWS: usize = 24;

/// Rows of cells as lines below a heading: the first column flush left, the others flush right, two spaces apart. Names in cells
/// come from files, and may be anything.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| printable(cell)))
        .collect();
    let all = || std::iter::once(&heading).chain(&rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widths = all().map(|row| row[column].width());
        widths.max().unwrap_or(0)
    });
    let mut lines = all().map(|row| line(row, &widths));
    let first = lines.next().unwrap_or_default();
    let mut text = format!("{HEADING}{first}{HEADING:#}\n");
    for line in lines {
        text += &line;
        text.push('\n');
    }
    text
}

fn line<const N: usize>(row: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let blank = " ".repeat(width - cell.width());
        line += &match column {
            0 => format!("{cell}{blank}"),
            _ => format!("  {blank}{cell}"),
        };
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        let rows = [row(["a", "1024"]), row(["層.0", "7"])];
        let expected = "\u{1b}[1mname     n\u{1b}[0m\na     1024\n層.0     7\n";
        assert_eq!(table(["name", "n"], &rows), expected);
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let rows = [["a\u{1b}]0;title\u{7}\n\u{9b}b".to_owned()]];
        let expected = "\u{1b}[1mname\u{1b}[0m\na\\u{1b}]0;title\\u{7}\\n\\u{9b}b\n";
        assert_eq!(table(["name"], &rows), expected);
    }
}
