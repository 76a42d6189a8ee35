# What other programs read.

output "paths" {
  value = { for name, volume in external_volume : name => volume.mount_point }
}

output "password" {
  value = var.array_password # mistake: sensitive-output
}

output "first" {
  value = [for image in values(image) image.name] # mistake: syntax
}

output "members" {
  description = "How many hosts there are"
  vaule       = length(host) # mistake: unknown-attribute
}

check "enough_hosts" {
  assert {
    condition     = length(var.members) >= var.wanted # mistake: reference-to-undeclared-input-variable
    error_message = "A storage of one host is no storage."
  }
}

check "empty" { # mistake: missing-block
}

moved {
  from = "image.web" # mistake: invalid-address
  to   = image.www
}

output "racks" {
  value = (length(var.racks) # mistake: syntax
}

output "sizes" {
  value = var.members.hv9 # mistake: missing-map-element
}
