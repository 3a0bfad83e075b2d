//! Reading a policy document.
