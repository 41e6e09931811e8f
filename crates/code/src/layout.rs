//! The text that says what lies where in an image (stage dump `70-layout.txt`).
//!
//! in   an [`Image`] and, if it was loaded, its [`Executable`]
//! out  lines of text; without an executable they depend on the image alone

use std::fmt::{self, Write};

use crate::{image::Image, memory::Executable};

/// Describes an image, section by section.
pub fn layout_text(image: &Image, executable: Option<&Executable>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_layout(&mut text, image, executable);
    text
}

fn write_layout(text: &mut String, image: &Image, executable: Option<&Executable>) -> fmt::Result {
    writeln!(text, "machine    {:?}", image.machine)?;
    writeln!(text, "image      {} bytes, alignment {}", image.bytes.len(), image.alignment)?;
    writeln!(text, "text       {} bytes", image.text_len)?;
    writeln!(text, "read-only  {} bytes with padding", image.bytes.len().saturating_sub(image.text_len))?;
    writeln!(text, "entry      {:#08x}", image.entry_offset)?;
    if let Some(executable) = executable {
        let addresses = executable.addresses();
        writeln!(text, "mapped     {:#x}..{:#x}, {} bytes in pages", addresses.start, addresses.end, executable.mapped_bytes())?;
    }
    if !image.sections.is_empty() {
        writeln!(text, "\noffset       bytes  relocations  section")?;
    }
    for section in &image.sections {
        writeln!(text, "{:#08x} {:>9}  {:>11}  {}", section.offset, section.len, section.relocations, section.name)?;
    }
    Ok(())
}
