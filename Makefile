# The commands of the project; CONTRIBUTING.md tells what each is for.
.PHONY: lint test test-full replay bench acceptance install-llvm install-cargo-deny
CARGO ?= cargo

lint: install-llvm install-cargo-deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p hotevm -p hotevm-statetest -- -D warnings # without the feature llvm
	$(CARGO) clippy -p hotevm --features loom --lib --profile test -- -D warnings -A dead-code # the models use few of the stand-ins
	$(CARGO) run --quiet -p xtask -- tidy
	$(CARGO) deny --log-level error check licenses bans sources

test: install-llvm
	$(CARGO) test --workspace

# Long tests, optimised, with the checks of a debug build.
test-full: install-llvm
	$(CARGO) test --workspace --profile checked --features full --target-dir target/full
	$(CARGO) test -p hotevm --profile checked --features loom --lib models --target-dir target/full
	scripts/check-memory valgrind
	scripts/check-memory address

replay: install-llvm
	$(CARGO) run --release --quiet -p hotevm-cli -- replay

bench: install-llvm
	$(CARGO) bench -p hotevm-benches

# make acceptance LINE=replay-blocks runs one line, again if need be.
acceptance: install-llvm
	$(CARGO) run --release --quiet -p xtask -- acceptance $(if $(LINE),--line $(LINE) --again)

install-llvm:
	scripts/install-llvm

install-cargo-deny:
	scripts/install-cargo-deny
