//! Reasons to refuse an artifact: one table, from which names, counters and tests are made.
//!
//! in   rows
//! out  [`Refusal`], in the order in which the checks are made where several would apply

macro_rules! refusals {
    ($($variant:ident $name:literal $meaning:literal,)*) => {
        /// Why an artifact is not used.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Refusal { $(#[doc = $meaning] $variant,)* }

        impl Refusal {
            /// Every reason, in order.
            pub const ALL: &[Refusal] = &[$(Refusal::$variant,)*];

            /// The reason's name in reports and in names of files that were moved aside.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

refusals! {
    Truncated "truncated" "shorter than it says of itself",
    FormatVersion "format-version" "written in another format",
    Altered "altered" "not the bytes that were written: digest, layout or manifest are wrong, or it stands under another name",
    CodeBytes "code-bytes" "the bytecode in it does not have its code hash",
    CodeHash "code-hash" "for another code",
    Gas "gas" "for another fork or other gas costs",
    Opcodes "opcodes" "for other opcodes declared custom",
    Abi "abi" "for another contract between native code and host",
    Compiler "compiler" "from another compiler",
    Options "options" "compiled with other options",
    Target "target" "for another machine or system",
    Cpu "cpu" "needs a feature that this CPU lacks",
    Tier "tier" "of another tier",
    Region "region" "for another region of the code",
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(self.meaning())
    }
}
