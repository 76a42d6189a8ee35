variable "media_password" {
  type        = string
  sensitive   = true
  description = "Password of the media share."
}

host "nas" {
  address = "192.0.2.5"
}

host "hv1" {
  address = "192.0.2.11"
}

module "iso" {
  source   = "../"
  name     = "iso"
  server   = host.nas
  hosts    = [host.hv1]
  password = var.media_password
}

output "path" {
  value = module.iso.path
}
