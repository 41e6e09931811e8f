//! Why native code gives a frame back to the interpreter.
//!
//! in   rows of one table
//! out  [`LeaveReason`], its names, its count

macro_rules! leave_reasons {
    ($($(#[$meta:meta])* $variant:ident => $name:literal,)*) => {
        /// Why native code gives a frame back to the interpreter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum LeaveReason { $($(#[$meta])* $variant,)* }

        impl LeaveReason {
            /// Every reason, in order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant,)*];
            /// Number of reasons.
            pub const COUNT: usize = [$($name,)*].len();
            /// Names, in order.
            pub const NAMES: [&'static str; Self::COUNT] = [$($name,)*];

            /// The name that reports and text forms use.
            pub const fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}

leave_reasons! {
    /// The gas left does not pay for the next section.
    Gas => "gas",
    /// The stack would overflow or underflow.
    Stack => "stack",
    /// A dynamic jump goes where no compiled edge leads.
    Jump => "jump",
    /// The instruction is not known, not active in this fork, or stops the frame with an error.
    Invalid => "invalid",
    /// The block ends in a revert or an error and was not compiled.
    Revert => "revert",
    /// A memory offset or length is beyond what is handled natively, or the gas left does not pay for the growth.
    Memory => "memory",
    /// A builtin found a reason to fail before it changed anything.
    Builtin => "builtin",
    /// Facts that the entry point relies on do not hold.
    Guard => "guard",
    /// A table call left the program counter elsewhere than expected.
    TableCall => "table-call",
    /// The edge was not compiled.
    Uncompiled => "uncompiled",
    /// The block lies outside of the region that was compiled.
    Outside => "outside",
    /// A test asked for it.
    Forced => "forced",
}
