//! [`policy!`]: from a function to the exports of a component.
//!
//! The exports exist for `wasm32` alone, because a native library with their names does not link; everything else,
//! the description included, is checked in native builds too.

use crate::{Error, Observation, Parameters, Verdict, from_json};

/// Makes a policy of `function(&Observation, &Parameters) -> Result<Verdict, Error>`.
///
/// The policy's name and version are the crate's, from its `Cargo.toml`; `name = "…"` gives it another one. The
/// summary is one line for people. `inputs` lists what the policy reads, [`Series`](crate::Series) by their names
/// and the counts of rooms as `rooms`; Maestro never scales down on an input that is stale. It is `["rooms"]` when
/// left out.
///
/// ```
/// use maestro_policy_sdk::prelude::*;
///
/// parameters! {
///     /// It has none.
///     pub struct Parameters {}
/// }
///
/// policy!(evaluate, Parameters, "Never changes anything.", name = "still", inputs = []);
///
/// fn evaluate(_: &Observation, _: &Parameters) -> Result<Verdict, Error> {
///     Ok(Verdict::hold("it never changes anything"))
/// }
/// ```
#[macro_export]
macro_rules! policy {
    ($function:path, $parameters:ty, $summary:expr $(, name = $name:expr)? $(,)?) => {
        $crate::policy!($function, $parameters, $summary $(, name = $name)?, inputs = ["rooms"]);
    };
    (
        $function:path, $parameters:ty, $summary:expr $(, name = $name:expr)?,
        inputs = [$($input:expr),* $(,)?] $(,)?
    ) => {
        const _: () = {
            const TEXT: $crate::support::Text = $crate::support::describe(&$crate::support::Description {
                name: [$($name,)? env!("CARGO_PKG_NAME")][0],
                version: env!("CARGO_PKG_VERSION"),
                summary: $summary,
                inputs: &[$($input),*],
                schema: <$parameters as $crate::Parameters>::SCHEMA,
            });

            #[cfg_attr(target_arch = "wasm32", unsafe(link_section = "maestro-policy"))]
            #[used]
            static SECTION: [u8; TEXT.size()] = TEXT.bytes();

            struct Exported;

            impl $crate::support::Guest for Exported {
                fn validate(parameters: String) -> Result<(), String> {
                    $crate::support::validate::<$parameters>(&parameters)
                }

                fn evaluate(observation: $crate::Observation) -> Result<$crate::Verdict, $crate::Error> {
                    $crate::support::evaluate::<$parameters>(&observation, $function)
                }
            }

            // What is exported nowhere would be taken for unused.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(&$crate::Observation, &$parameters) -> Result<$crate::Verdict, $crate::Error> = $function;

            #[cfg(target_arch = "wasm32")]
            $crate::bindings::export_policy!(Exported with_types_in $crate::bindings);
        };
    };
}

/// The exported `validate`.
pub fn validate<P: Parameters>(parameters: &str) -> Result<(), String> {
    from_json::<P>(parameters).map(drop)
}

/// The exported `evaluate`.
pub fn evaluate<P: Parameters>(
    observation: &Observation,
    function: fn(&Observation, &P) -> Result<Verdict, Error>,
) -> Result<Verdict, Error> {
    let parameters = from_json(&observation.parameters).map_err(Error::InvalidParameters)?;
    function(observation, &parameters)
}
