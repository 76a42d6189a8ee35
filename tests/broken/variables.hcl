# What the site is made of. The values are in larder.vars.hcl.

variable "members" {
  type        = map(string)
  description = "Address of each host by its name"
}

variable "image_sizes" {
  type    = map(string)
  default = ["40GiB"] # mistake: invalid-default
}

variable "scratch_size" {
  type    = sting # mistake: invalid-type
  default = "64MiB"
}

variable "pool" { # mistake: missing-variable
  type = string
}

variable "owner" {
  type    = string
  default = "qemu"
  validation {
    condition     = contains(["libvirt-qemu", "root"], var.owner) # mistake: invalid-variable-value
    error_message = "Guests run as libvirt-qemu here."
  }
}

variable "array_password" {
  type      = string
  sensitive = true
  default   = "correct horse"
}

variable "slots" {
  type = number
}

variable "racks" {
  type    = list(string)
  default = ["a", "b"]
}

locals {
  racks      = [for name, address in var.members : upper(name)]
  per_rack   = length(var.racks) / (length(local.racks) - 3) # mistake: operation-failed
  first_rack = var.racks[2]                                  # mistake: invalid-index
  rack_names = replace(var.owner, "-")                       # mistake: not-enough-function-arguments
  serial     = regex("^(a|b", "a-12")                        # mistake: invalid-function-argument
  greeting   = "hosts: ${var.members}"                       # mistake: invalid-template-interpolation-value
  size_of    = { for size in ["1", "1"] : size => size }     # mistake: duplicate-object-key
  # Each of these two wants the other one first.
  data = "${local.root}/data" # mistake: cycle
  root = dirname(local.data)
}
