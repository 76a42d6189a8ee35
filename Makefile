# Thin names for scripts/; each installs what it needs and this machine lacks (Debian, Ubuntu).
.PHONY: demo test ci bench fuzz clean

demo:
	@scripts/demo

test:
	@scripts/test

ci:
	@.ci/run

bench:
	@scripts/install
	cargo bench --locked

fuzz:
	@scripts/fuzz

clean:
	cargo clean
