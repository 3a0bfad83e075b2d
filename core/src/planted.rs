//! Mistakes that the simulation must find, to prove that it would. They exist only with the feature
//! `planted-bugs`, which no program of agix has; without it every question is answered with no.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A use is taken for twice as old as it is.
    UseTooOld,
    /// A permit is free again when its window is over by one clock.
    NoMarginForDrift,
    /// What a lost session held does not cool.
    LostSessionForgotten,
    /// A change of the policy begins windows anew.
    RefillOnPolicy,
    /// What was spent beyond what was set aside is not counted.
    DebtForgotten,
    /// What a lost session had set aside is free at once.
    UnsettledReleased,
    /// Usage that is told again is counted again.
    RepetitionCounted,
    /// A report that comes after the last word of its session is counted.
    LateReportCounted,
    /// An alert is raised whenever its threshold is passed.
    AlertRepeated,
    /// A lease is counted from when its renewal was heard.
    LeaseFromReceipt,
    /// Rights are used after the lease.
    UseAfterLease,
    /// Spend of a past session is forgotten when it is confirmed, though calls go on.
    PastForgotten,
    /// A wait that is named ends before the release.
    WaitTooShort,
    /// One who waits is not looked at when its time is over.
    WaiterForgotten,
    /// The day follows the wall clock wherever it goes.
    DayGoesBack,
    /// For drivers: what follows from a batch is told before it is committed.
    ToldBeforeCommit,
    /// For drivers: the store takes batches of any term.
    NoFence,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::UseTooOld,
        Self::NoMarginForDrift,
        Self::LostSessionForgotten,
        Self::RefillOnPolicy,
        Self::DebtForgotten,
        Self::UnsettledReleased,
        Self::RepetitionCounted,
        Self::LateReportCounted,
        Self::AlertRepeated,
        Self::LeaseFromReceipt,
        Self::UseAfterLease,
        Self::PastForgotten,
        Self::WaitTooShort,
        Self::WaiterForgotten,
        Self::DayGoesBack,
        Self::ToldBeforeCommit,
        Self::NoFence,
    ];
}

#[cfg(feature = "planted-bugs")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a mistake for what this thread does from now on.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a mistake is planted.
#[cfg(feature = "planted-bugs")]
pub fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a mistake is planted: none is.
#[cfg(not(feature = "planted-bugs"))]
pub const fn has(_bug: Bug) -> bool {
    false
}
