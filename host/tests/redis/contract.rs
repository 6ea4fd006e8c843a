//! Every promise of a registry, on a single server and on a cluster.

use maestro::registry::contract::{self, Outcome};

use crate::bench::Bench;

macro_rules! promises {
    ($($check:ident in $part:ident;)*) => {
        mod single {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() -> Outcome {
                    contract::$check(&Bench::single().await).await
                }
            )*
        }

        mod cluster {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() -> Outcome {
                    contract::$check(&Bench::cluster().await).await
                }
            )*
        }
    };
}

maestro::registry_checks!(promises);
