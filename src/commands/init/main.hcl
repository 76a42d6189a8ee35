# What is to be where. `larder plan` shows what would change and changes nothing; `larder apply` asks before it does it.

# This machine, so that everything can be tried before a real host is named. An ordinary user adds: become = "sudo"
host "here" {
  connection = "local"
}

# Real hosts are reached through SSH, with the user, the key and the jump host of your ssh_config:
#
# host "hv1" {
#   address = "192.0.2.11"
# }

# A logical storage: its members, and where its volumes are.
image_storage "main" {
  hosts = [host.here]
  root  = var.root

  # Who owns its volumes. On a hypervisor with libvirt, mostly:
  #
  # owner = "libvirt-qemu"
  # group = "kvm"
  # mode  = "0770"
}

# A volume is at the same path on every member. This one is a plain directory below the root of its storage.
external_volume "images" {
  storage = image_storage.main
  directory {}
}

# Others are mounted, with a line in /etc/fstab:
#
# external_volume "scratch" {
#   storage = image_storage.main
#   tmpfs {
#     size = "64MiB"
#   }
# }

# Disks of guests, which are allocated once and only ever grow. There are as many as var.guests names: none yet.
image "guest" {
  for_each = var.guests
  volume   = external_volume.images
  format   = "qcow2"
  size     = each.value
}

output "images" {
  description = "Where the images are."
  value       = external_volume.images.mount_point
}
