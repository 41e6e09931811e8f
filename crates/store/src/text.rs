//! The text of a manifest (stage dump `60-manifest.txt`).
//!
//! in   an artifact and the length of its file
//! out  lines of text

use hotevm_abi::Artifact;
use hotevm_code::SharedObject;
use std::fmt::{self, Write};

/// Describes an artifact, field by field.
pub fn manifest_text(object: &SharedObject) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_manifest(&mut text, object.artifact(), object.bytes().len());
    text
}

fn write_manifest(text: &mut String, artifact: &Artifact, file_len: usize) -> fmt::Result {
    let (key, code) = (&artifact.key, &artifact.code);
    writeln!(text, "code hash       {}", key.code_hash)?;
    writeln!(text, "gas             {}", key.gas)?;
    writeln!(text, "custom opcodes  {}", key.custom_opcodes)?;
    writeln!(text, "abi             {}", key.abi)?;
    writeln!(text, "compiler        {}, LLVM {}, {}", key.compiler.version, key.compiler.llvm, key.compiler.options)?;
    writeln!(text, "target          {}", key.target)?;
    writeln!(text, "features        {}", key.features.join(" "))?;
    writeln!(text, "tier            {}", key.tier.name())?;
    writeln!(text, "region          {}", key.region)?;
    writeln!(text, "file            {file_len} bytes")?;
    writeln!(text, "image           {} bytes, {} of them text, entry {:#x}", code.bytes.len(), code.text_len, code.entry_offset)?;
    writeln!(text, "bytecode        {} bytes", artifact.bytecode.len())?;
    writeln!(text, "leave rows      {}", code.leaves.len())?;
    writeln!(text, "profile         {} bytes", artifact.profile.len())?;
    writeln!(text, "\nentry        pc  heights     memory")?;
    for entry in &code.entries {
        let heights = format!("{}..={}", entry.height_min, entry.height_max);
        writeln!(text, "{:>5}  {:#08x}  {heights:<10}  {}", entry.number, entry.pc, entry.memory_min)?;
    }
    Ok(())
}
