//! Named cases, theme by theme, and what a machine must have to run one.

use crate::{call::Kind, script::Script};

/// A case: a name that is a sentence, and the sequence.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) needs: Option<Need>,
    pub(crate) script: Script,
}

/// What not every machine lets everybody do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// CAP_NET_RAW and CAP_NET_ADMIN, as root has them.
    Root,
    /// Not to be root.
    NoRoot,
    /// A kernel that creates such a socket.
    Kind(Kind),
    /// An IPv6 loopback.
    Ipv6,
}

/// Cases by name, of one theme.
#[derive(Default)]
pub(crate) struct Theme {
    pub(crate) cases: Vec<Case>,
}

impl Theme {
    /// Adds a case.
    pub(crate) fn case(&mut self, name: impl Into<String>, write: impl FnOnce(&mut Script)) {
        self.add(name, None, write);
    }

    /// Adds a case that not every machine can run.
    pub(crate) fn case_with(
        &mut self,
        name: impl Into<String>,
        need: Need,
        write: impl FnOnce(&mut Script),
    ) {
        self.add(name, Some(need), write);
    }

    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        needs: Option<Need>,
        write: impl FnOnce(&mut Script),
    ) {
        let mut script = Script::default();
        write(&mut script);
        self.cases.push(Case {
            name: name.into(),
            needs,
            script,
        });
    }
}
