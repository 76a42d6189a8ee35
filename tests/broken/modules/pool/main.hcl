# A storage with one directory, and an image for each guest.

variable "hosts" {
  type = any
}

variable "path" {
  type = string
}

variable "guests" {
  type    = map(string)
  default = { web = "20GiB", db = 20 GiB } # mistake: syntax
}

image_storage "pool" {
  hosts = var.hosts
  root  = var.path
}

external_volume "images" {
  storage = image_storage.pool
  mode    = "0787" # mistake: invalid-mode
  directory {}
}

image "guest" {
  for_each = var.guests
  volume   = external_volume.images
  format   = "raw"
  size     = each.valeu # mistake: invalid-reference
}

output "path" {
  value = external_volume.images.mount_point
}
