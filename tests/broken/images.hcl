# The guests' disks.

image "web" {
  for_each = ["web1", "web2"] # mistake: invalid-for-each
  volume   = external_volume.disk
  format   = "qcow3" # mistake: invalid-value
  size     = "40GiB"
}

image "db" {
  count  = 1.5 # mistake: invalid-count
  volume = external_volume.disk
  format = "raw"
  size   = 20 + "GiB" # mistake: invalid-operand
}

image "secret" {
  for_each = toset([var.array_password]) # mistake: invalid-for-each
  volume   = external_volume.disk
  format   = null # mistake: missing-attribute
  size     = "1GiB"
}

image "mail" {
  volume = external_volume.disk
  format = uper("raw") # mistake: call-to-unknown-function
  size   = "20GiB"
  size   = "30GiB" # mistake: duplicate-attribute
}

image "old" {
  volume = external_volume.old
  format = "raw"
  size   = "20GiB"
  backing {              # mistake: unknown-block
    image = image.web[0]
  }
}

image "build" {
  volume     = external_volume.disk
  format     = "raw"
  size       = "20GiB"
  depends_on = [external_volume.dsk] # mistake: reference-to-undeclared-resource
}

image "ci" # mistake: syntax
{ # the bracket belongs on the line above
  volume = external_volume.disk
  format = "raw"
  size   = "20 GiB of room" # mistake: invalid-size
}

image "spare" {
  volume = external_volume.spare
  hosts  = [host.hv2]
  format = "qcow2"
  size   = "10GiB"
  name   = "spare/disk.qcow2" # mistake: invalid-value
}

image "guest" "windows" { # mistake: wrong-labels
  volume = external_volume.disk
}

image "logs" {
  volume = external_volume.disk
  format = image.guest.format
  size   = "20GiB"
  lifecycle {
    precondition {
      condition     = length(var.racks) > 2 # mistake: precondition-failed
      error_message = "Logs need three racks."
    }
  }
}

removed {
  from    = image.gone
  destroy = 1 # mistake: wrong-type
}
