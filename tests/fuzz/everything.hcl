larder {
  required_version = ">= 0.1"
  state "local" {
    path = "state/x.json"
  }
  apply {
    parallelism = 2
  }
}

variable "v" {
  type    = object({ a = string, b = optional(list(number), [1, 2]) })
  default = { a = "x" }
  validation {
    condition     = length(var.v.b) > 1
    error_message = "At least two, not ${length(var.v.b)}."
  }
}

variable "secret" {
  type      = string
  default   = "hidden"
  sensitive = true
  nullable  = false
}

locals {
  t = <<-EOT
    %{ for k, v in { a = 1 } ~}
    ${k} = ${v}
    %{ endfor ~}
  EOT
  s = [for x in var.v.b : x * 2 if x > 1][0] == 4 ? "${local.t}$${x}" : null
  g = { for i, x in ["a", "b", "a"] : x => i... }
  m = merge({ a = 1 }, { (upper("b")) = [1, 2][*] })
  u = try(host.hv1.facts.users["root"], 0) + 1
}

host "hv1" {
  address = "192.0.2.11"
  labels  = { rack = "a", n = 1.5 }
}

host "more" {
  count   = 2
  address = "192.0.2.2${count.index}"
}

image_storage "main" {
  hosts = values(host)[*]
  owner = host.hv1.facts.qemu_user
  mode  = 0770
  lifecycle {
    ignore_changes = [mode]
    accept         = ["hides-data"]
    precondition {
      condition     = can(regex("^192", host.hv1.address))
      error_message = "Not there."
    }
    postcondition {
      condition     = length(self.hosts) > 0
      error_message = "Nobody."
    }
  }
}

external_volume "v" {
  for_each    = { a = "64MiB", b = "1GiB" }
  storage     = image_storage.main
  mount_point = "/srv/${each.key}"
  options     = ["noatime"]
  tmpfs {
    size = each.value
  }
}

external_volume "d" {
  storage = image_storage.main
  dynamic "directory" {
    for_each = toset(["x"])
    content {}
  }
}

image "i" {
  for_each   = external_volume.v
  volume     = each.value
  hosts      = [host.hv1]
  format     = "qcow2"
  size       = "${10 + 5}MiB"
  depends_on = [external_volume.d]
}

output "o" {
  value       = { for k, v in external_volume.v : k => v.mount_point }
  description = "Where"
  precondition {
    condition     = length(external_volume.v) == 2
    error_message = "No."
  }
}

output "hidden" {
  value     = [var.secret, local.u, jsonencode(local.g)]
  sensitive = true
}

check "c" {
  assert {
    condition     = host.hv1.facts.kernel != "5.4"
    error_message = "The kernel is ${host.hv1.facts.kernel}."
  }
}

removed {
  from = image.old["x"]
}
