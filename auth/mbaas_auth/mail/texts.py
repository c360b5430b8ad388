"""What the mails say, by language: subject and text.

`{app}` is the app's name, `{account}` the address or name, `{link}` the link, `{code}` the code, `{about}` the provider that a notice
is about.
"""

from __future__ import annotations

from mbaas_auth.mail.ports import Kind, Letter, Notice

TEXTS: dict[str, dict[Kind | Notice, tuple[str, str]]] = {
    "en": {
        "verification": (
            "Please verify your e-mail for {app}",
            "Hello,\n\nplease confirm that {account} is your e-mail address for {app}:\n\n{link}\n\n"
            "If you did not sign up for {app}, ignore this message.\n",
        ),
        "reset": (
            "Password Reset for {app}",
            "Hello,\n\nsomebody asked for a new password for {account} at {app}. If it was you, choose one here:\n\n{link}\n\n"
            "If it was not you, ignore this message: your password stays as it is.\n",
        ),
        "linked": (
            "{about} was added to your account at {app}",
            "Hello,\n\nfrom now on {about} can be used to sign in to {account} at {app}.\n\n"
            "If it was not you who added it, choose a new password and remove {about} from your account.\n",
        ),
        "unlinked": (
            "{about} was removed from your account at {app}",
            "Hello,\n\n{about} can no longer be used to sign in to {account} at {app}.\n\n"
            "If it was not you who removed it, choose a new password.\n",
        ),
        "sign-in": (
            "{code} is your code for {app}",
            "Hello,\n\nyour code to sign in to {app} is {code}. It is good for ten minutes.\n\n{link}"
            "If you did not ask for it, ignore this message, and tell nobody the code.\n",
        ),
    },
    "de": {
        "verification": (
            "Bitte bestätigen Sie Ihre E-Mail-Adresse für {app}",
            "Guten Tag,\n\nbitte bestätigen Sie, dass {account} Ihre E-Mail-Adresse für {app} ist:\n\n{link}\n\n"
            "Wenn Sie sich nicht bei {app} angemeldet haben, ignorieren Sie diese Nachricht.\n",
        ),
        "reset": (
            "Neues Passwort für {app}",
            "Guten Tag,\n\njemand hat für {account} bei {app} ein neues Passwort angefordert. Wenn Sie es waren, wählen Sie es hier:\n\n"
            "{link}\n\nWenn nicht, ignorieren Sie diese Nachricht: Ihr Passwort bleibt, wie es ist.\n",
        ),
        "linked": (
            "{about} wurde Ihrem Konto bei {app} hinzugefügt",
            "Guten Tag,\n\nab jetzt können Sie sich mit {about} bei {app} als {account} anmelden.\n\n"
            "Wenn nicht Sie das waren, wählen Sie ein neues Passwort und entfernen Sie {about} aus Ihrem Konto.\n",
        ),
        "unlinked": (
            "{about} wurde aus Ihrem Konto bei {app} entfernt",
            "Guten Tag,\n\nmit {about} ist bei {app} keine Anmeldung als {account} mehr möglich.\n\n"
            "Wenn nicht Sie das waren, wählen Sie ein neues Passwort.\n",
        ),
        "sign-in": (
            "{code} ist Ihr Code für {app}",
            "Guten Tag,\n\nIhr Code für die Anmeldung bei {app} ist {code}. Er gilt zehn Minuten.\n\n{link}"
            "Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese Nachricht, und nennen Sie niemandem den Code.\n",
        ),
    },
    "es": {
        "verification": (
            "Confirma tu correo electrónico para {app}",
            "Hola:\n\nConfirma que {account} es tu dirección de correo electrónico para {app}:\n\n{link}\n\n"
            "Si no te has registrado en {app}, ignora este mensaje.\n",
        ),
        "reset": (
            "Nueva contraseña para {app}",
            "Hola:\n\nAlguien ha pedido una nueva contraseña para {account} en {app}. Si has sido tú, elígela aquí:\n\n{link}\n\n"
            "Si no has sido tú, ignora este mensaje: tu contraseña no cambia.\n",
        ),
        "linked": (
            "Se ha añadido {about} a tu cuenta de {app}",
            "Hola:\n\nA partir de ahora se puede entrar en {app} como {account} con {about}.\n\n"
            "Si no has sido tú, elige una nueva contraseña y quita {about} de tu cuenta.\n",
        ),
        "unlinked": (
            "Se ha quitado {about} de tu cuenta de {app}",
            "Hola:\n\nYa no se puede entrar en {app} como {account} con {about}.\n\nSi no has sido tú, elige una nueva contraseña.\n",
        ),
        "sign-in": (
            "{code} es tu código para {app}",
            "Hola:\n\nTu código para entrar en {app} es {code}. Vale diez minutos.\n\n{link}"
            "Si no lo has pedido, ignora este mensaje y no digas el código a nadie.\n",
        ),
    },
    "fr": {
        "verification": (
            "Confirmez votre adresse e-mail pour {app}",
            "Bonjour,\n\nveuillez confirmer que {account} est bien votre adresse e-mail pour {app} :\n\n{link}\n\n"
            "Si vous ne vous êtes pas inscrit sur {app}, ignorez ce message.\n",
        ),
        "reset": (
            "Nouveau mot de passe pour {app}",
            "Bonjour,\n\nquelqu'un a demandé un nouveau mot de passe pour {account} sur {app}. Si c'était vous, choisissez-le ici :\n\n"
            "{link}\n\nSinon, ignorez ce message : votre mot de passe reste inchangé.\n",
        ),
        "linked": (
            "{about} a été ajouté à votre compte {app}",
            "Bonjour,\n\n{about} permet désormais de se connecter à {app} en tant que {account}.\n\n"
            "Si ce n'était pas vous, choisissez un nouveau mot de passe et retirez {about} de votre compte.\n",
        ),
        "unlinked": (
            "{about} a été retiré de votre compte {app}",
            "Bonjour,\n\n{about} ne permet plus de se connecter à {app} en tant que {account}.\n\n"
            "Si ce n'était pas vous, choisissez un nouveau mot de passe.\n",
        ),
        "sign-in": (
            "{code} est votre code pour {app}",
            "Bonjour,\n\nvotre code de connexion à {app} est {code}. Il est valable dix minutes.\n\n{link}"
            "Si vous ne l'avez pas demandé, ignorez ce message et ne communiquez le code à personne.\n",
        ),
    },
}

_OR_OPEN = {"en": "Or open this link:", "de": "Oder öffnen Sie diesen Link:", "es": "O abre este enlace:", "fr": "Ou ouvrez ce lien :"}


def compose(letter: Letter) -> tuple[str, str]:
    """The subject and the text of a mail, in the language of its locale or else in English."""
    language = letter.locale.partition("-")[0].lower()
    language = language if language in TEXTS else "en"
    subject, text = TEXTS[language][letter.kind]
    link = f"{_OR_OPEN[language]}\n\n{letter.link}\n\n" if letter.kind == "sign-in" and letter.link else letter.link
    account = letter.to if letter.kind == "verification" else letter.user.get("username") or letter.to
    # What people choose stays one line, so that none can add lines of her own to a mail to somebody else.
    said = {"app": line(letter.app_name), "account": line(str(account)), "link": link, "code": letter.code, "about": line(letter.about)}
    return subject.format(**said), text.format(**said)


def line(text: str) -> str:
    """A text as one line of at most 200 characters that can be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
