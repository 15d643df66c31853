//! The report: rows, as an aligned table for people or as JSON.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer};

use crate::rounds::Rounds;

/// One claim: our figure beside the one it is held against.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The case that measured it.
    case: &'static str,
    /// What `ours` and `theirs` count.
    unit: &'static str,
    /// Our median; absent if it could not be measured.
    ours: Option<f64>,
    /// What ours is held against.
    against: String,
    /// Its median, or the limit.
    theirs: Option<f64>,
    /// The median of the rounds' ratios, ours to theirs.
    ratio: Option<f64>,
    /// What the ratio shall be.
    target: Option<Target>,
    /// Whether it is; absent if it could not be measured.
    met: Option<bool>,
    /// How it was measured, how far the ratios were apart, or why there is no figure.
    note: String,
}

/// What a ratio shall be. In JSON a string such as "<= 1.15".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// Less is better: times and sizes.
    AtMost(f64),
    /// More is better: rates.
    AtLeast(f64),
}

impl Row {
    /// A row of what `rounds` measured. The note says how many rounds there were and how far apart, and by how much a target was
    /// missed.
    pub(crate) fn compared(
        case: &'static str,
        unit: &'static str,
        rounds: &Rounds,
        against: impl Into<String>,
        target: Target,
        note: impl fmt::Display,
    ) -> Self {
        let (least, most) = rounds.ratio_range();
        let count = rounds.count();
        let spread = if count == 1 {
            "1 round".to_owned()
        } else {
            format!("{count} rounds, ratios {least:.2}-{most:.2}")
        };
        let ratio = rounds.ratio();
        let missed = target
            .missed_by(ratio)
            .map_or_else(String::new, |percent| format!("; misses by {percent:.1} %"));
        Self {
            case,
            unit,
            ours: Some(rounds.ours()),
            against: against.into(),
            theirs: Some(rounds.theirs()),
            ratio: Some(ratio),
            target: Some(target),
            met: Some(missed.is_empty()),
            note: format!("{note}; {spread}{missed}"),
        }
    }

    /// A row without figures: why there are none.
    pub(crate) fn unmeasured(case: &'static str, why: impl Into<String>) -> Self {
        Self {
            case,
            unit: "",
            ours: None,
            against: String::new(),
            theirs: None,
            ratio: None,
            target: None,
            met: None,
            note: why.into(),
        }
    }

    /// Whether it was measured and is not what it shall be.
    pub(crate) fn missed(&self) -> bool {
        self.met == Some(false)
    }
}

impl Target {
    /// By how many percent of itself a ratio does not reach it; `None` if it does, which NaN never does.
    fn missed_by(self, ratio: f64) -> Option<f64> {
        let (met, excess) = match self {
            Self::AtMost(limit) => (ratio <= limit, ratio / limit - 1.0),
            Self::AtLeast(limit) => (ratio >= limit, 1.0 - ratio / limit),
        };
        (!met).then_some(100.0 * excess)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The rows as a JSON array, a line at the end.
///
/// # Errors
/// None that rows can cause.
pub(crate) fn json(rows: &[Row]) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}

/// The rows as a table, each row's note on a line below it.
pub(crate) fn table(rows: &[Row]) -> String {
    const HEADER: [&str; 8] = [
        "case", "unit", "ours", "against", "theirs", "ratio", "target", "met",
    ];
    const RIGHT_ALIGNED: [usize; 3] = [2, 4, 5];

    let lines: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let mut widths = HEADER.map(str::len);
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let write_line = |text: &mut String, cells: [&str; 8]| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            // Writing to a string does not fail.
            let _ = if RIGHT_ALIGNED.contains(&column) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };

    let mut text = String::new();
    write_line(&mut text, HEADER);
    for (line, row) in lines.iter().zip(rows) {
        write_line(&mut text, line.each_ref().map(String::as_str));
        if !row.note.is_empty() {
            let _ = writeln!(text, "    {}", row.note);
        }
    }
    text
}

fn cells(row: &Row) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), three_digits);
    let met = match row.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    [
        row.case.to_owned(),
        row.unit.to_owned(),
        number(row.ours),
        row.against.clone(),
        number(row.theirs),
        row.ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
        row.target
            .map_or_else(|| "-".to_owned(), |target| target.to_string()),
        met.to_owned(),
    ]
}

/// Three digits that count, and no fewer before the point than there are.
fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(ours: f64) -> Row {
        let rounds = Rounds::against_limit(&[ours], 80.0).unwrap();
        Row::compared(
            "unary-latency",
            "us",
            &rounds,
            "bare tonic",
            Target::AtMost(1.15),
            "p50",
        )
    }

    #[test]
    fn a_target_is_met_at_its_very_limit_and_never_by_a_ratio_that_is_none() {
        assert_eq!(Target::AtMost(1.15).missed_by(1.15), None);
        assert!(Target::AtMost(1.15).missed_by(1.16).is_some());
        assert_eq!(Target::AtLeast(0.85).missed_by(0.85), None);
        assert!(Target::AtLeast(0.85).missed_by(0.84).is_some());
        assert!(Target::AtMost(1.0).missed_by(f64::NAN).is_some());
        assert!(Target::AtLeast(1.0).missed_by(f64::NAN).is_some());
    }

    #[test]
    fn the_note_of_a_missed_target_says_by_how_much() {
        assert_eq!(latency(88.0).note, "p50; 1 round");
        assert_eq!(latency(115.0).note, "p50; 1 round; misses by 25.0 %");
    }

    #[test]
    fn a_row_tells_whether_its_target_was_missed() {
        assert!(!latency(88.0).missed());
        assert!(latency(100.0).missed());
        assert!(!Row::unmeasured("start", "no daemon").missed());
    }

    #[test]
    fn json_has_every_field_of_every_row() {
        let rows = [latency(88.0), Row::unmeasured("start", "no daemon")];
        let value: serde_json::Value = serde_json::from_str(&json(&rows).unwrap()).unwrap();
        assert_eq!(
            value,
            serde_json::json!([
                {
                    "case": "unary-latency", "unit": "us", "ours": 88.0, "against": "bare tonic", "theirs": 80.0,
                    "ratio": 1.1, "target": "<= 1.15", "met": true, "note": "p50; 1 round",
                },
                {
                    "case": "start", "unit": "", "ours": null, "against": "", "theirs": null,
                    "ratio": null, "target": null, "met": null, "note": "no daemon",
                },
            ])
        );
    }

    #[test]
    fn a_table_is_aligned_and_has_the_notes_below_their_rows() {
        let rows = [latency(100.0), Row::unmeasured("start", "no daemon")];
        assert_eq!(
            table(&rows),
            "case           unit  ours  against     theirs  ratio  target   met\n\
             unary-latency  us     100  bare tonic    80.0  1.250  <= 1.15  NO\n    p50; 1 round; misses by 8.7 %\n\
             start                   -                   -      -  -        -\n    no daemon\n"
        );
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        for (value, text) in [
            (12345.6, "12346"),
            (88.04, "88.0"),
            (1.234, "1.23"),
            (0.0123, "0.0123"),
            (0.0, "0.0000"),
        ] {
            assert_eq!(three_digits(value), text);
        }
    }
}
