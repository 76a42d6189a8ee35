# The hosts, one rack after the other.

larder {
  apply {
    max_destroy = 2
    max_hosts   = 3 # mistake: unknown-attribute
  }
}

host "hv1" {
  address         = var.members.hv1
  port            = 70000 # mistake: invalid-value
  connect_timeout = "10"  # mistake: invalid-duration
  labels          = { rack = "a" }
}

host "hv2" {
  adress = "192.0.2.12" # mistake: unknown-attribute
  labels = { rack = "b", twice = 1, twice = 2 } # mistake: syntax
}

host "hv3" {
  address = "192.0.2.13 # mistake: unterminated-string
  user    = host.hv3.name # mistake: self-reference
}

host "hv1" { # mistake: duplicate-address
  address = var.member.hv1 # mistake: reference-to-undeclared-input-variable
}

host "nas {                 # mistake: unterminated-string
  address = "192.0.2.14"
  becomes = sudo # mistake: unknown-attribute
}
