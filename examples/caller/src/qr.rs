//! A ticket or a safety number as a QR code of half blocks, two rows of modules in one of characters.

use crate::output::Output;
use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// Light modules around the code.
const QUIET: i32 = 2;

/// Shows `text`, upper case, on the terminal, if it fits there.
pub(crate) fn show(output: &Output, text: &str) {
    let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
    // A row is left for the cursor.
    for line in draw(text, usize::from(rows.saturating_sub(1)), columns.into()).unwrap_or_default() {
        // White on black, whatever the terminal's colours are.
        output.line(&format!("\x1b[97;40m{line}\x1b[0m"));
    }
}

/// Draws `text`, upper case, if it fits the rows and columns. Light modules are drawn, dark ones left out, as suits a
/// dark terminal; scanners read the other way round as well.
pub(crate) fn draw(text: &str, rows: usize, columns: usize) -> Option<Vec<String>> {
    let segments = QrSegment::make_segments(text);
    // Without a boost of the correction level: the size matters more.
    let code =
        QrCode::encode_segments_advanced(&segments, QrCodeEcc::Low, Version::MIN, Version::MAX, None, false);
    let code = code.ok()?;
    let range = -QUIET..code.size() + QUIET;
    let light = |x, y| y < range.end && !code.get_module(x, y);
    let lines: Vec<String> = range
        .clone()
        .step_by(2)
        .map(|y| {
            let half = |x| match (light(x, y), light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            };
            range.clone().map(half).collect()
        })
        .collect();
    let fits = lines.len() <= rows && range.len() <= columns;
    fits.then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kring::Endpoint;

    #[tokio::test]
    async fn a_ticket_fits_24_rows_of_80_columns() {
        let endpoint = Endpoint::builder().build().unwrap();
        let addresses = ["192.0.2.255:65535".parse().unwrap(), "[2001:db8::1]:65535".parse().unwrap()];
        let ticket = endpoint.ticket_for(&addresses, kring::DEFAULT_LIFETIME).unwrap();
        // One row is left for the line that follows.
        let lines = draw(&ticket.to_qr_text(), 23, 80).unwrap();
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()));
        assert!(lines[0].chars().all(|c| c == '█'), "the quiet zone is light");
        assert!(draw(&ticket.to_qr_text(), 20, 80).is_none());
    }
}
