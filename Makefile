# Thin names for scripts/; each installs what it needs and this machine lacks (Debian, Ubuntu).
.PHONY: demo test test-vm ci bench fuzz clean

demo:
	@scripts/demo

test:
	@scripts/test

# Virtual machines: real kernels, real NFS and CIFS servers.
test-vm:
	@scripts/test-vm

ci:
	@.ci/run

bench:
	@scripts/install
	cargo bench --locked

fuzz:
	@scripts/fuzz

clean:
	cargo clean
