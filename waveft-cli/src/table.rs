//! Columns that line up.

use unicode_width::UnicodeWidthStr as _;

use crate::output::{HEADING, printable};

/// Rows that [`first_rows`] shows.
const MOST_ROWS: usize = 24;

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

/// The same of the first rows, and how many more there are.
pub(crate) fn first_rows<const N: usize>(
    heading: [&str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) -> String {
    let more = rows.len().saturating_sub(MOST_ROWS);
    let mut text = table(heading, &rows.take(MOST_ROWS).collect::<Vec<_>>());
    if more > 0 {
        text += &format!("and {more} more\n");
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
    use super::{MOST_ROWS, first_rows, table};

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        let rows = [row(["a", "1024"]), row(["層.0", "7"])];
        let expected = "\u{1b}[1mname     n\u{1b}[0m\na     1024\n層.0     7\n";
        assert_eq!(table(["name", "n"], &rows), expected);
    }

    #[test]
    fn of_many_rows_the_first_are_shown() {
        let lines = |count: usize| {
            let rows = (0..count).map(|row| [row.to_string()]);
            let text = first_rows(["row"], rows);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(MOST_ROWS).last().unwrap(), "23");
        let cut = lines(MOST_ROWS + 2);
        assert_eq!(cut[MOST_ROWS..], ["23", "and 2 more"]);
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        let rows = [["a\u{1b}]0;title\u{7}\n\u{9b}b".to_owned()]];
        let expected = "\u{1b}[1mname\u{1b}[0m\na\\u{1b}]0;title\\u{7}\\n\\u{9b}b\n";
        assert_eq!(table(["name"], &rows), expected);
    }
}
