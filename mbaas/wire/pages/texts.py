"""What the server's own pages say, by language. The English headings are Parse Server's, since programs look for them."""

from __future__ import annotations

from dataclasses import dataclass

from mbaas.wire.pages.names import Page
from mbaas_auth.password_reset import EXPIRED, INVALID

DIFFERENT = "The two passwords are not the same."
"""What a form is told whose second password is another one."""


@dataclass(frozen=True, slots=True)
class Texts:
    """One language. `pages` are heading and text; `errors` are the server's own, by their English text."""

    reset_title: str
    verify_title: str
    new_password: str
    once_more: str
    choose: str
    resend: str
    pages: dict[Page, tuple[str, str]]
    errors: dict[str, str]


TEXTS: dict[str, Texts] = {
    "en": Texts(
        reset_title="Password Reset",
        verify_title="Email Verification",
        new_password="New Password",
        once_more="Confirm New Password",
        choose="Change Password",
        resend="Resend Link",
        pages={
            "passwordReset": ("Reset Your Password", "Choose a new password for your account."),
            "passwordResetLinkInvalid": (
                "Invalid password reset link!",
                "It was used already, or is too old. Ask for another one.",
            ),
            "passwordResetSuccess": ("Success!", "Your password has been updated."),
            "emailVerificationLinkExpired": ("Expired verification link!", "You can have another one sent."),
            "emailVerificationLinkInvalid": ("Invalid verification link!", "It may have been used already, or be too old."),
            "emailVerificationSendFail": ("Invalid link!", "No link sent. User not found or email already verified."),
            "emailVerificationSendSuccess": ("Link sent!", "A new link has been sent. Check your email."),
            "emailVerificationSuccess": ("Email verified!", "Successfully verified your email. You can close this page."),
        },
        errors={},
    ),
    "de": Texts(
        reset_title="Passwort zurücksetzen",
        verify_title="E-Mail-Bestätigung",
        new_password="Neues Passwort",
        once_more="Neues Passwort wiederholen",
        choose="Passwort ändern",
        resend="Link erneut senden",
        pages={
            "passwordReset": ("Neues Passwort wählen", "Wählen Sie ein neues Passwort für Ihr Konto."),
            "passwordResetLinkInvalid": (
                "Dieser Link gilt nicht",
                "Vielleicht wurde er schon benutzt oder ist zu alt. Fordern Sie einen neuen an.",
            ),
            "passwordResetSuccess": ("Geschafft!", "Ihr Passwort wurde geändert."),
            "emailVerificationLinkExpired": ("Dieser Link ist abgelaufen", "Sie können sich einen neuen senden lassen."),
            "emailVerificationLinkInvalid": ("Dieser Link gilt nicht", "Vielleicht wurde er schon benutzt oder ist zu alt."),
            "emailVerificationSendFail": ("Kein Link gesendet", "Das Konto gibt es nicht, oder die Adresse ist schon bestätigt."),
            "emailVerificationSendSuccess": ("Link gesendet!", "Ein neuer Link ist unterwegs. Sehen Sie in Ihren E-Mails nach."),
            "emailVerificationSuccess": ("E-Mail-Adresse bestätigt!", "Vielen Dank. Sie können diese Seite schließen."),
        },
        errors={
            INVALID: "Dieser Link gilt nicht mehr.",
            EXPIRED: "Dieser Link ist abgelaufen.",
            DIFFERENT: "Die beiden Passwörter sind nicht gleich.",
            "Password cannot contain your username.": "Das Passwort darf Ihren Benutzernamen nicht enthalten.",
            "Password does not meet the Password Policy requirements.": "Das Passwort erfüllt die Anforderungen nicht.",
        },
    ),
    "es": Texts(
        reset_title="Restablecer la contraseña",
        verify_title="Confirmación del correo",
        new_password="Nueva contraseña",
        once_more="Repite la nueva contraseña",
        choose="Cambiar la contraseña",
        resend="Enviar otro enlace",
        pages={
            "passwordReset": ("Elige una nueva contraseña", "Será la nueva contraseña de tu cuenta."),
            "passwordResetLinkInvalid": ("Este enlace no es válido", "Puede que ya se haya usado o que sea demasiado antiguo. Pide otro."),
            "passwordResetSuccess": ("¡Listo!", "Tu contraseña se ha cambiado."),
            "emailVerificationLinkExpired": ("Este enlace ha caducado", "Puedes pedir que te enviemos otro."),
            "emailVerificationLinkInvalid": ("Este enlace no es válido", "Puede que ya se haya usado o que sea demasiado antiguo."),
            "emailVerificationSendFail": ("No se ha enviado ningún enlace", "La cuenta no existe o el correo ya está confirmado."),
            "emailVerificationSendSuccess": ("¡Enlace enviado!", "Hemos enviado un nuevo enlace. Revisa tu correo."),
            "emailVerificationSuccess": ("¡Correo confirmado!", "Gracias. Puedes cerrar esta página."),
        },
        errors={
            INVALID: "Este enlace ya no es válido.",
            EXPIRED: "Este enlace ha caducado.",
            DIFFERENT: "Las dos contraseñas no son iguales.",
            "Password cannot contain your username.": "La contraseña no puede contener tu nombre de usuario.",
            "Password does not meet the Password Policy requirements.": "La contraseña no cumple los requisitos.",
        },
    ),
    "fr": Texts(
        reset_title="Nouveau mot de passe",
        verify_title="Confirmation de l'adresse",
        new_password="Nouveau mot de passe",
        once_more="Répétez le nouveau mot de passe",
        choose="Changer le mot de passe",
        resend="Renvoyer un lien",
        pages={
            "passwordReset": ("Choisissez un nouveau mot de passe", "Ce sera le nouveau mot de passe de votre compte."),
            "passwordResetLinkInvalid": (
                "Ce lien n'est pas valable",
                "Il a peut-être déjà été utilisé, ou il est trop ancien. Demandez-en un autre.",
            ),
            "passwordResetSuccess": ("C'est fait !", "Votre mot de passe a été changé."),
            "emailVerificationLinkExpired": ("Ce lien a expiré", "Vous pouvez en demander un autre."),
            "emailVerificationLinkInvalid": ("Ce lien n'est pas valable", "Il a peut-être déjà été utilisé, ou il est trop ancien."),
            "emailVerificationSendFail": ("Aucun lien n'a été envoyé", "Le compte n'existe pas, ou l'adresse est déjà confirmée."),
            "emailVerificationSendSuccess": ("Lien envoyé !", "Un nouveau lien vous a été envoyé. Consultez vos e-mails."),
            "emailVerificationSuccess": ("Adresse confirmée !", "Merci. Vous pouvez fermer cette page."),
        },
        errors={
            INVALID: "Ce lien n'est plus valable.",
            EXPIRED: "Ce lien a expiré.",
            DIFFERENT: "Les deux mots de passe ne sont pas identiques.",
            "Password cannot contain your username.": "Le mot de passe ne doit pas contenir votre nom d'utilisateur.",
            "Password does not meet the Password Policy requirements.": "Le mot de passe ne répond pas aux exigences.",
        },
    ),
}
