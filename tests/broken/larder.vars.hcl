# The values of this site.

members = {
  hv1 = "192.0.2.11"
  hv2 = "192.0.2.12"
  hv3 = "192.0.2.13"
}

slots = "eight" # mistake: invalid-variable-value

image_size = { web = "40GiB" } # mistake: undeclared-variable
