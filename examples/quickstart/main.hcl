# Three hypervisors share one storage: a directory for guest images and scratch space in memory.

variable "guests" {
  type        = map(string)
  description = "Guests by name, with the size of their disk."
  default = {
    web = "10GiB"
    db  = "20GiB"
  }
}

host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

host "hv3" {
  address = "192.0.2.13"
}

image_storage "main" {
  hosts = [host.hv1, host.hv2, host.hv3]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}

external_volume "images" {
  storage     = image_storage.main
  mount_point = "/srv/images"
  bind {
    source = external_volume.disk.mount_point
  }
  options = ["noatime"]
}

external_volume "disk" {
  storage     = image_storage.main
  mount_point = "/data/images"
  directory {}
}

external_volume "scratch" {
  storage = image_storage.main
  tmpfs {
    size = "64MiB"
  }
}

image "guest" {
  for_each = var.guests
  volume   = external_volume.images
  hosts    = [host.hv1]
  name     = "${each.key}.qcow2"
  format   = "qcow2"
  size     = each.value
}

output "disks" {
  value = { for name, image in image.guest : name => "${external_volume.images.mount_point}/${image.name}" }
}
